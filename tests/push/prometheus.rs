//! A Prometheus server that scrapes itself and remote-writes what it finds.

use std::process::Command;

use harness::bridge::{Bridge, free_address};
use harness::others::Need::Program;
use harness::others::are_here;
use harness::programs::{Daemon, wait_until};

/// Whether a scrape went well, as the server itself tells: the label `instance` is the source, `job` stays.
const UP: &str = "up{job=itself}";

#[test]
fn a_prometheus_server_writes_what_it_scrapes() {
    if !are_here(&[Program("prometheus", "prometheus")]) {
        return;
    }
    let bridge = Bridge::new(1, |bridge| {
        let address = bridge.addresses[0].to_string();
        format!(
            "[prometheus]\nlisten = [{address:?}]\ntenant = \"acme\"\ntrusted_networks = [\"127.0.0.0/8\"]"
        )
    });
    let daemon = bridge.start();
    let itself = free_address();
    let config = format!(
        "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\n\
         scrape_configs:\n\
         - {{ job_name: itself, static_configs: [{{ targets: [\"{itself}\"] }}] }}\n\
         remote_write:\n\
         - {{ url: \"http://{}/api/v1/write\", queue_config: {{ batch_send_deadline: 100ms }} }}\n",
        bridge.addresses[0]
    );
    let config = bridge.write("prometheus.yml", &config);
    let said = bridge.file("prometheus.log");
    let mut command = Command::new("prometheus");
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.tsdb.path={}", bridge.file("tsdb").display()));
    let mut prometheus = Daemon::foreign(command.arg(format!("--web.listen-address={itself}")), &said);
    // The second scrape finds what the first began to count.
    let has_scraped_twice = || bridge.values(UP).values().sum::<usize>() >= 2;
    let why = || format!("{}\n{}", std::fs::read_to_string(&said).unwrap_or_default(), bridge.log());
    wait_until(|| has_scraped_twice() || !prometheus.is_running(), why);
    assert!(prometheus.is_running(), "{}", why());
    drop(prometheus);
    assert!(daemon.stop(), "{}", bridge.log());
    let records = bridge.records();
    let written: Vec<_> = records.iter().filter(|record| record["values"][UP] == 1.0).collect();
    assert!(written.iter().all(|record| record["source"] == "127.0.0.1"), "{written:?}");
    assert_eq!(bridge.values(UP).into_keys().collect::<Vec<_>>(), [1]);
    // A label of the metric's own goes with those of the scrape.
    let scrapes = bridge.values("prometheus_http_requests_total{code=200,handler=/metrics,job=itself}");
    assert!(scrapes.keys().max() >= Some(&1), "{scrapes:?}");
}
