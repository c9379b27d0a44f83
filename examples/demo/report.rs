//! The report: one HTML page that needs nothing else, out of what the demo measured.

mod rounds;

use std::fmt::Write as _;

use coordinator::view::RunView;
use examples::fleet;
use examples::page::bars::{self, Bar, Group};
use examples::page::strip::{self, Strip};
use examples::page::{self, escape};

use super::quality::Verdict;
use super::table::{bytes, means};

/// What a report tells.
#[derive(Clone, Debug)]
pub(crate) struct Report<'d> {
    /// Where the telemetry came from.
    pub(crate) source: String,
    /// The seed of all random choices.
    pub(crate) seed: u64,
    /// Names of the metrics.
    pub(crate) metrics: &'d [String],
    /// The run as the coordinator last showed it.
    pub(crate) run: &'d RunView,
    /// Each node judged.
    pub(crate) verdicts: &'d [Verdict],
    /// Where the model is.
    pub(crate) model: String,
    /// How long everything took, in seconds.
    pub(crate) wall_s: f64,
}

/// What is compared on each node.
const MODELS: [&str; 3] = ["local", "federated", "tuned"];

/// The page.
pub(crate) fn html(report: &Report<'_>) -> String {
    let mut content = head(report);
    content.push_str(&quality(report.verdicts));
    content.push_str(&rounds(report.run));
    let _ = writeln!(
        content,
        "<section>\n<h2>What each node saw</h2>\n<p>Scores of the federated model on the node's later telemetry, \
         with its own scaling and calibration. {}</p>",
        strip::KEY
    );
    report.verdicts.iter().for_each(|verdict| content.push_str(&seen(verdict)));
    content.push_str("</section>\n");
    content.push_str(&trust());
    page::html("Starling: a federated run", &content)
}

/// One node's scores over time.
fn seen(verdict: &Verdict) -> String {
    let Verdict { figures, newcomer, scores, alarms, threshold, faults } = verdict;
    strip::figure(&Strip {
        name: &figures.node,
        badge: newcomer.then_some("newcomer"),
        scores,
        alarms,
        threshold: *threshold,
        faults,
        day: fleet::DAY,
    })
}

fn head(report: &Report<'_>) -> String {
    let Report { source, seed, metrics, run, verdicts, model, wall_s } = report;
    let hash = run.model.as_deref().unwrap_or("-");
    let carried: u64 = run.history.iter().filter_map(|round| round.bytes).sum();
    let federated = means(verdicts)[1];
    let mut tiles = vec![
        (format!("{} of {}", run.rounds_done, run.rounds), "rounds".to_owned()),
        (format!("{federated:.3}"), "mean VUS-PR, federated".to_owned()),
    ];
    for verdict in verdicts.iter().filter(|verdict| verdict.newcomer) {
        let gain = verdict.figures.vus_pr_federated - verdict.figures.vus_pr_local;
        tiles.push((format!("{gain:+.3}"), format!("gain of the newcomer {}", verdict.figures.node)));
    }
    tiles.push((bytes(carried), "models and updates carried".to_owned()));
    tiles.push((format!("{wall_s:.1} s"), "from nothing to this page".to_owned()));
    let tile = |(value, what): &(String, String)| {
        format!("<div><b>{}</b><span>{}</span></div>\n", escape(value), escape(what))
    };
    let tiles: String = tiles.iter().map(tile).collect();
    let names: Vec<String> = metrics.iter().map(|name| format!("<code>{}</code>", escape(name))).collect();
    format!(
        "<header>\n<p class=\"brand\">Starling</p>\n<h1>{} nodes learned one model without sharing their telemetry</h1>\n\
         <div class=\"tiles\">\n{tiles}</div>\n</header>\n<section>\n<h2>What was run</h2>\n\
         <p>One coordinator and {} nodes, each a process of its own, over DDS on this host. Telemetry: {}. \
         In each of {} rounds every node went over its own history once, from the same first model (seed {seed}); \
         what left it were sealed changes of parameters.</p>\n\
         <details><summary>{} metrics</summary><p>{}</p></details>\n\
         <p class=\"path\">model <code>{}</code><br>hash <code>{}</code></p>\n</section>\n",
        verdicts.len(),
        verdicts.len(),
        escape(source),
        run.rounds_done,
        metrics.len(),
        names.join(" "),
        escape(model),
        escape(hash),
    )
}

fn quality(verdicts: &[Verdict]) -> String {
    let mut text = String::from(
        "<section>\n<h2>What it is worth to each node</h2>\n\
         <p>Volume under the precision-recall surface (VUS-PR, 1 is perfect) on labelled telemetry that is later than \
         all training, of three models: <i class=\"key local\"></i> <b>local</b>, trained on the node alone with the budget \
         of the whole run; <i class=\"key federated\"></i> <b>federated</b>, trained together; <i class=\"key tuned\"></i> \
         <b>tuned</b>, trained together and then for a little while on the node.</p>\n",
    );
    let bar = |(name, value)| Bar { name, value, interval: None };
    let group = |Verdict { figures, .. }: &'_ Verdict| {
        let three = [figures.vus_pr_local, figures.vus_pr_federated, figures.vus_pr_tuned];
        MODELS.into_iter().zip(three).map(bar).collect()
    };
    let groups: Vec<Group<'_>> =
        verdicts.iter().map(|verdict| Group { name: &verdict.figures.node, bars: group(verdict) }).collect();
    let shows = "VUS-PR of the local, federated and tuned model on each node";
    text.push_str(&bars::grouped(shows, 1.0, &groups));
    text.push_str(
        "<table>\n<thead><tr><th>node</th><th>train records</th><th>local</th><th>federated</th><th>tuned</th>\
         <th>AUC-PR, federated</th></tr></thead>\n<tbody>\n",
    );
    for Verdict { figures, newcomer, .. } in verdicts {
        let badge = if *newcomer { " <span class=\"badge\">newcomer</span>" } else { "" };
        let three = [figures.vus_pr_local, figures.vus_pr_federated, figures.vus_pr_tuned];
        let best = three.iter().copied().fold(f64::MIN, f64::max);
        let cell = |value: f64| {
            let class = if value >= best { " class=\"best\"" } else { "" };
            format!("<td{class}>{value:.3}</td>")
        };
        let _ = writeln!(
            text,
            "<tr><th>{}{badge}</th><td>{}</td>{}<td>{:.3}</td></tr>",
            escape(&figures.node),
            figures.train_records,
            three.map(cell).concat(),
            figures.auc_pr_federated
        );
    }
    let [local, federated, tuned] = means(verdicts);
    let _ = write!(
        text,
        "</tbody>\n<tfoot><tr><th>mean</th><td></td><td>{local:.3}</td><td>{federated:.3}</td><td>{tuned:.3}</td>\
         <td></td></tr></tfoot>\n</table>\n</section>\n"
    );
    text
}

fn rounds(run: &RunView) -> String {
    format!(
        "<section class=\"two\">\n<figure>\n<figcaption><h2>Loss by round</h2>\
         <p>Mean squared error of the nodes' forecasts while they trained, weighted by their samples.</p></figcaption>\n{}</figure>\n\
         <figure>\n<figcaption><h2>Time by round</h2><p>From a round's announcement to its commit: {}.</p></figcaption>\n{}</figure>\n\
         </section>\n",
        rounds::loss(&run.history),
        rounds::phase_key(),
        rounds::phases(&run.history)
    )
}

fn trust() -> String {
    "<section>\n<h2>What is trusted</h2>\n\
     <p>A node trusts its own host and the one coordinator whose key it holds: telemetry never leaves the node, but that \
     coordinator sees each node's update and decides which model comes back. \
     The network is trusted with nothing: models and updates are sealed and everything is signed, so whoever listens \
     learns who takes part, when, and how large a model is.</p>\n</section>\n"
        .to_owned()
}

#[cfg(test)]
mod tests;
