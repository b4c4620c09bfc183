//! The workflows of `.github/workflows` against the rules that GitHub has for them and against the commands that they
//! call: nothing else finds a mistake in them before a tag is pushed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics has failed")]

use std::fs;
use std::path::Path;
use std::process::Command;

use yaml_rust2::{Yaml, YamlLoader};

/// The workflows, by their file names.
fn workflows() -> Vec<(String, Yaml)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github/workflows");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let mut documents = YamlLoader::load_from_str(&fs::read_to_string(&path).unwrap()).expect(&name);
            assert_eq!(documents.len(), 1, "{name}");
            (name, documents.remove(0))
        })
        .collect()
}

/// What is wrong with a workflow.
fn faults(workflow: &Yaml) -> Vec<String> {
    let mut faults = Vec::new();
    for key in ["name", "on", "permissions", "jobs"] {
        if workflow[key].is_badvalue() {
            faults.push(format!("it has no {key}"));
        }
    }
    let Some(jobs) = workflow["jobs"].as_hash() else { return faults };
    for (name, job) in jobs {
        let name = name.as_str().unwrap_or_default();
        if job["runs-on"].as_str().is_none() || job["timeout-minutes"].as_i64().is_none() {
            faults.push(format!("{name} has no runs-on or no timeout-minutes"));
        }
        if job["needs"].as_str().is_some_and(|needed| !jobs.contains_key(&Yaml::String(needed.to_owned()))) {
            faults.push(format!("{name} needs a job that is not there"));
        }
        let steps = job["steps"].as_vec().map(Vec::as_slice).unwrap_or_default();
        if steps.is_empty() {
            faults.push(format!("{name} has no steps"));
        }
        for step in steps {
            match (step["run"].as_str(), step["uses"].as_str()) {
                (Some(run), None) => faults.extend(run.lines().filter_map(unknown_command)),
                (None, Some(action)) if action.contains("@v") => {}
                _ => {
                    faults
                        .push(format!("{name} has a step that is neither a run nor an action of a version"));
                }
            }
        }
    }
    faults
}

/// What a line calls that xtask does not have.
fn unknown_command(line: &str) -> Option<String> {
    let mut words = line.split("cargo xtask ").nth(1)?.split_whitespace();
    let command = words.next()?;
    let help = Command::new(env!("CARGO_BIN_EXE_xtask")).args([command, "--help"]).output().unwrap();
    let text = String::from_utf8(help.stdout).unwrap();
    if !help.status.success() || !text.contains("Usage") {
        return Some(format!("there is no cargo xtask {command}"));
    }
    let has = |flag: &str| text.split_whitespace().any(|word| word == flag);
    words.find(|word| word.starts_with("--") && !has(word)).map(|flag| format!("{command} has no {flag}"))
}

#[test]
fn every_workflow_is_one() {
    let workflows = workflows();
    assert!(["ci.yml", "release.yml"].iter().all(|name| workflows.iter().any(|(other, _)| other == name)));
    for (name, workflow) in workflows {
        assert_eq!(faults(&workflow), Vec::<String>::new(), "{name}");
    }
}

/// The release has all its processors, is compared, and is made where `--install` may call apt.
#[test]
fn a_tag_makes_the_whole_release() {
    let (_, release) = workflows().into_iter().find(|(name, _)| name == "release.yml").unwrap();
    assert_eq!(release["on"]["push"]["tags"][0].as_str(), Some("v*"));
    let steps = release["jobs"]["build"]["steps"].as_vec().unwrap();
    let runs: Vec<_> = steps.iter().filter_map(|step| step["run"].as_str()).collect();
    assert!(runs.contains(&"cargo xtask dist --check --install"), "{runs:?}");
    assert!(steps.iter().any(|step| step["with"]["path"].as_str() == Some("target/dist")));
}

#[test]
fn faults_are_found() {
    let of = |text: &str| faults(&YamlLoader::load_from_str(text).unwrap()[0]);
    assert_eq!(of("name: x").len(), 3);
    let workflow = |step: &str| {
        format!(
            "{{name: x, on: push, permissions: {{}}, jobs: {{a: {{runs-on: y, timeout-minutes: 1, steps: [{step}]}}}}}}"
        )
    };
    assert_eq!(of(&workflow("{run: cargo xtask check}")), Vec::<String>::new());
    assert_eq!(of(&workflow("{run: cargo xtask no-such}")), ["there is no cargo xtask no-such"]);
    assert_eq!(of(&workflow("{run: cargo xtask dist --no-such}")), ["dist has no --no-such"]);
    assert_eq!(of(&workflow("{uses: actions/checkout}")).len(), 1);
    assert_eq!(of(&workflow("")), ["a has no steps"]);
}
