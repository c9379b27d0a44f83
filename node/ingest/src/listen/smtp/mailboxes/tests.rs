use std::collections::BTreeMap;

use super::*;

const LAYOUT: &str = "code_page = \"cp037\"\nrecord_bytes = 16\n\
    columns = [{ name = \"host\", start = 1, length = 12, kind = \"text\" }]\n";

fn mailboxes(text: &str) -> Result<BTreeMap<String, MailboxConfig>, String> {
    toml::from_str(text).map_err(|error| error.to_string())
}

#[test]
fn a_mailbox_is_a_tenant_or_a_table_with_a_format_or_a_layout() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layout.toml");
    std::fs::write(&path, LAYOUT).unwrap();
    let text = format!(
        "ops = \"acme\"\nplain = {{ tenant = \"acme\" }}\nalerts = {{ tenant = \"lab\", format = \"zabbix\" }}\n\
         file = {{ tenant = \"acme\", layout = {path:?} }}\n\
         [table]\ntenant = \"acme\"\n[table.layout]\n{LAYOUT}"
    );
    let mailboxes = mailboxes(&text).unwrap();
    let layout = Pin::Layout(toml::from_str(LAYOUT).unwrap());
    let pins: Vec<_> = mailboxes
        .iter()
        .map(|(name, mailbox)| (name.as_str(), mailbox.tenant.as_str(), mailbox.pin().unwrap()))
        .collect();
    let zabbix = Pin::Format(Adapter::named("zabbix").unwrap());
    assert_eq!(
        pins,
        [
            ("alerts", "lab", Some(zabbix)),
            ("file", "acme", Some(layout.clone())),
            ("ops", "acme", None),
            ("plain", "acme", None),
            ("table", "acme", Some(layout)),
        ]
    );
}

#[test]
fn a_mailbox_that_cannot_be_is_refused_by_what_is_wrong() {
    let error = |text: &str| mailboxes(text).unwrap_err();
    let unknown = error("a = { tenant = \"acme\", format = \"cobol\" }");
    assert!(unknown.contains("there is no format `cobol`; there are: json, html, xml"), "{unknown}");
    let both = error("a = { tenant = \"acme\", format = \"xml\", layout = \"x\" }");
    assert!(both.contains("give `format` or `layout`, not both"), "{both}");
    assert!(error("a = { tenant = \"acme\", formt = \"xml\" }").contains("unknown field `formt`"));
    assert!(error("a = { format = \"xml\" }").contains("missing field `tenant`"));
    assert!(error("a = 7").contains("a text or a table"));
    let column = LAYOUT.replace("length", "lenght");
    let column = error(&format!("[a]\ntenant = \"acme\"\n[a.layout]\n{column}"));
    assert!(column.contains("unknown field `lenght`"), "{column}");
}

#[test]
fn a_layout_file_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layout.toml");
    let fault = || {
        let text = format!("a = {{ tenant = \"acme\", layout = {path:?} }}");
        let fault = mailboxes(&text).unwrap()["a"].pin().unwrap_err().to_string();
        fault.strip_prefix(&format!("{}: ", path.display())).unwrap().to_owned()
    };
    assert_eq!(fault(), "No such file or directory (os error 2)");
    std::fs::write(&path, LAYOUT.replace("length = 12", "length = 17")).unwrap();
    assert!(fault().contains("column `host` is not inside the record"), "{}", fault());
    std::fs::write(&path, "#".repeat(CONFIG_BYTES_MAX as usize + 1)).unwrap();
    assert_eq!(fault(), "is longer than a configuration may be");
}
