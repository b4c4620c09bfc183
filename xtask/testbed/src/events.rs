//! What deaddrop prints with `--json`, against the schema in `host/docs/events.schema.json`.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

/// The schema of the events, as it is published.
pub const SCHEMA: &str = include_str!("../../../host/docs/events.schema.json");

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
    let schema = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    jsonschema::draft202012::meta::validate(&schema).expect("the schema is one of JSON Schema 2020-12");
    jsonschema::draft202012::new(&schema).expect("the schema refers to what it has")
});

/// The event in a line of deaddrop's output. Panics with the line and the reason if the schema does not know it.
#[track_caller]
pub fn event(line: &str) -> Value {
    match checked(line) {
        Ok(event) => event,
        Err(why) => panic!("not an event of host/docs/events.schema.json, {why}: {line:?}"),
    }
}

/// The same, or why it is none.
pub fn checked(line: &str) -> Result<Value, String> {
    let event: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    match VALIDATOR.validate(&event) {
        Ok(()) => Ok(event),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether this is deaddrop with `--json`, itself or behind programs such as `nsenter` and `strace`: its standard output
/// then holds events alone.
pub(crate) fn are_from(command: &Command) -> bool {
    let is_deaddrop = |word: &OsStr| Path::new(word).file_stem().is_some_and(|name| name == "deaddrop");
    let mut words = std::iter::once(command.get_program()).chain(command.get_args());
    words.any(is_deaddrop) && words.any(|word| word == "--json")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "se3cznxd99g8jvpz5pyb0zxy1m";

    #[test]
    fn only_what_the_schema_says_is_an_event() {
        let offer = format!(
            r#""token":"{TOKEN}","from":"10.77.0.1:48556","kind":"file","name":"\n","size":1,"ttl_ms":0"#
        );
        let event = |name: &str, fields: &str| checked(&format!(r#"{{"event":"{name}",{fields}}}"#)).is_ok();
        assert!(event("offer", &offer));
        assert!(!event("offering", &offer), "an unknown event");
        assert!(!event("offer", &format!(r#"{offer},"colour":"red""#)), "an unknown field");
        assert!(!event("offer", &offer.replace(r#""size":1,"#, "")), "a missing field");
        assert!(!event("offer", &offer.replace(r#""size":1"#, r#""size":"1""#)), "a field of another type");
        assert!(!event("offer", &offer.replace(TOKEN, "SE3CZ")), "no token");
        assert!(event("error", r#""code":"usage","message":"m""#));
        assert!(!event("error", r#""code":"no-such","message":"m""#), "an unknown code");
        assert!(!event("warning", r#""code":"usage","message":"m""#), "an error's code in a warning");
        assert!(checked("words").is_err() && checked("[]").is_err());
    }

    #[test]
    fn content_is_in_one_place() {
        let received = |fields: &str| {
            let head = r#""event":"received","kind":"file","name":"a","size":1"#;
            checked(&format!(r#"{{{head},"token":"{TOKEN}"{fields}}}"#)).is_ok()
        };
        assert!(received(r#","text":"""#) && received(r#","base64":"/wA=""#) && received(r#","path":"a""#));
        assert!(received(r#","path":"a","paths":["a"],"files":1"#) && received(r#","paths":[],"files":0"#));
        assert!(!received(""));
        assert!(!received(r#","text":"","path":"a""#));
        assert!(!received(r#","paths":["a"]"#) && !received(r#","path":"a","files":1"#));
    }

    #[test]
    fn a_program_ends_in_one_way() {
        let executed = |how: &str| {
            checked(&format!(r#"{{"event":"executed","token":"{TOKEN}","timed_out":true{how}}}"#))
        };
        assert!(executed(r#","code":0"#).is_ok() && executed(r#","signal":9"#).is_ok());
        assert!(executed("").is_err() && executed(r#","code":0,"signal":9"#).is_err());
    }

    #[test]
    fn a_sender_says_all_that_it_serves() {
        assert!(checked(r#"{"event":"ready","addresses":["fe80::1%eth0","::1","10.0.0.1"]}"#).is_ok());
        assert!(checked(r#"{"event":"ready","addresses":["bob"]}"#).is_err());
        assert!(checked(r#"{"event":"ready","addresses":[],"port":48556}"#).is_err());
        assert!(checked(r#"{"event":"ready","addresses":[],"name":"a"}"#).is_err());
    }

    #[test]
    fn events_come_from_deaddrop_with_json() {
        let of = |words: &[&str]| {
            let mut command = Command::new(words[0]);
            are_from(command.args(&words[1..]))
        };
        assert!(of(&["/target/debug/deaddrop", "run", "--json"]));
        assert!(of(&["nsenter", "--net", "--", "/target/debug/deaddrop", "run", "--json"]));
        assert!(!of(&["deaddrop", "run"]) && !of(&["other", "--json"]));
    }
}
