//! Reports: HTML pages that need nothing else, with drawings in them, for light and dark and for those who listen.

pub mod bars;
pub mod lines;
pub mod strip;
pub mod svg;

const STYLE: &str = include_str!("page/style.css");

/// Text between tags and in quoted attributes.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(character),
        }
    }
    safe
}

/// The page of a title and what stands on it, which is markup.
pub fn html(title: &str, content: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{content}</main>\n</body>\n</html>\n",
        escape(title)
    )
}

/// The mark in text of what a class of a drawing shows.
pub fn key(class: &str) -> String {
    format!("<i class=\"key {class}\"></i>")
}

/// What is wrong with a page: a tag that is not closed in its turn, or something that it would fetch.
pub fn fault(page: &str) -> Option<String> {
    const VOID: [&str; 2] = ["meta", "br"];
    const FETCHING: [&str; 7] = ["http:", "https:", "src=", "href=", "url(", "@import", "<script"];
    if let Some(fetching) = FETCHING.iter().find(|fetching| page.contains(**fetching)) {
        return Some(format!("`{fetching}` would fetch something"));
    }
    let mut open = Vec::new();
    for tag in page.split('<').skip(1) {
        let Some((tag, _)) = tag.split_once('>') else { return Some(format!("`<{tag}` has no end")) };
        let name = |text: &str| text.split_whitespace().next().unwrap_or_default().to_owned();
        match tag.strip_prefix('/') {
            Some(closed) if open.pop() != Some(name(closed)) => {
                return Some(format!("`</{closed}>` closes nothing"));
            }
            None if !(tag.starts_with('!') || tag.ends_with('/') || VOID.contains(&&*name(tag))) => {
                open.push(name(tag));
            }
            _ => (),
        }
    }
    open.pop().map(|name| format!("`<{name}>` is not closed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_whole_whatever_its_title_is() {
        let page = html("</title><script>", "<p class=\"a\">b<br>c</p>\n");
        assert_eq!(fault(&page), None);
        assert!(page.contains("&lt;/title&gt;"));
    }

    #[test]
    fn what_is_wrong_with_a_page_is_said() {
        for (bad, said) in [
            ("<p>", "not closed"),
            ("<p><b></p></b>", "closes nothing"),
            ("</p>", "closes nothing"),
            ("<p", "no end"),
            ("<img src=\"a\"/>", "fetch"),
        ] {
            assert!(fault(bad).is_some_and(|fault| fault.contains(said)), "{bad}");
        }
    }
}
