//! The schema of the events beside the README and the program's sources. That each event of a test is one of the schema
//! is checked by the testbed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use testbed::events::SCHEMA;

/// The part of the schema under this pointer.
fn part(pointer: &str) -> Value {
    let schema: Value = serde_json::from_str(SCHEMA).expect("JSON");
    schema.pointer(pointer).unwrap_or_else(|| panic!("the schema has no {pointer}")).clone()
}

fn texts(list: &Value) -> BTreeSet<String> {
    list.as_array().expect("a list").iter().map(|text| text.as_str().expect("a text").to_owned()).collect()
}

/// The events that the schema knows.
fn events() -> BTreeSet<String> {
    let all = part("/oneOf");
    let targets =
        all.as_array().expect("a list").iter().map(|each| each["$ref"].as_str().expect("a reference"));
    targets.map(|target| target.trim_start_matches("#/$defs/").to_owned()).collect()
}

/// The words between backticks.
fn code_spans(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_readme_has_every_event_with_its_fields() {
    let readme = include_str!("../../README.md");
    let table =
        readme.split("\n## JSON events\n").nth(1).expect("a section").split("\n## ").next().expect("text");
    let mut named = BTreeSet::new();
    for row in table.lines().filter(|line| line.starts_with("| `") && !line.starts_with("| `event`")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let fields = code_spans(cells[2]);
        for event in code_spans(cells[0]) {
            assert_eq!(part(&format!("/$defs/{event}/properties/event/const")), event);
            let properties = part(&format!("/$defs/{event}/properties"));
            let known = properties.as_object().expect("fields").keys().filter(|name| *name != "event");
            let missing: Vec<&String> = known.filter(|name| !fields.contains(*name)).collect();
            assert!(missing.is_empty(), "the README does not name these fields of {event}: {missing:?}");
            named.insert(event);
        }
    }
    assert_eq!(named, events());
}

/// All of the program's sources but its tests, as one text.
fn sources(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, into);
        } else if !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).expect("a source");
            into.push_str(text.split("#[cfg(test)]\nmod tests {").next().expect("code"));
        }
    }
}

/// The texts in quotes that follow this in the sources.
fn quoted_after<'a>(sources: &'a str, before: &str) -> BTreeSet<&'a str> {
    sources.split(before).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn the_schema_has_the_codes_of_the_program_and_no_others() {
    let mut all = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/deaddrop"), &mut all);
    let (warnings, errors) =
        (texts(&part("/$defs/warning_code/enum")), texts(&part("/$defs/error_code/enum")));
    let in_warnings = quoted_after(&all, "code: \"");
    let mut in_errors = quoted_after(&all, "Exit::Failed, \"");
    in_errors.extend(quoted_after(&all, "Exit::Usage, \""));
    assert!(in_warnings.len() > 10 && in_errors.len() > 4, "{in_warnings:?}, {in_errors:?}");
    let unknown: Vec<_> = in_warnings.iter().filter(|code| !warnings.contains(**code)).collect();
    assert!(unknown.is_empty(), "warnings that the schema does not know: {unknown:?}");
    let unknown: Vec<_> = in_errors.iter().filter(|code| !errors.contains(**code)).collect();
    assert!(unknown.is_empty(), "errors that the schema does not know: {unknown:?}");
    let unused: Vec<_> =
        warnings.union(&errors).filter(|code| !all.contains(&format!("\"{code}\""))).collect();
    assert!(unused.is_empty(), "codes that the program does not have: {unused:?}");
}
