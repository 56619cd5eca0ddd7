//! The command line and the generated references: what `--help` says, exit codes, and documents that equal the code.
//! `UPDATE=1` rewrites the documents.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use clap::{CommandFactory, Parser};
use lectern_api::node_config::{EdgeConfig, IngestConfig};
use lectern_node::args::{Args, Role};
use serde_json::Value;
use std::fmt::Write;
use std::io::BufRead;
use std::path::Path;
use std::process::{Command, Output};

#[test]
fn help_equals_the_golden_text() {
    for (args, file) in [
        (vec!["--help"], "help.txt"),
        (vec!["ingest", "--help"], "help-ingest.txt"),
        (vec!["edge", "--help"], "help-edge.txt"),
        (vec!["calibrate", "--help"], "help-calibrate.txt"),
    ] {
        let output = node(&args);
        assert!(output.status.success());
        golden(&format!("node/tests/testdata/{file}"), &String::from_utf8(output.stdout).unwrap());
    }
}

#[test]
fn exit_codes_tell_a_bad_configuration_from_a_failure() {
    let output = node(&["ingest"]);
    assert_eq!(output.status.code(), Some(2));
    let output = node(&["ingest", "--config", "/nowhere/node.json"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(message.contains("failed to read configuration /nowhere/node.json: No such file"), "{message}");
}

#[test]
fn sigterm_ends_an_ingest_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("node.json");
    std::fs::write(folder.path().join("seed"), "0123456789abcdef").unwrap();
    let text = serde_json::json!({
        "event": "default/gala", "streams": [{"name": "hall-a"}], "seedFile": folder.path().join("seed"),
        "discovery": {"type": "static", "peers": []},
    });
    std::fs::write(&config, text.to_string()).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_lectern-node"))
        .env_clear()
        .env("LECTERN_CONFIG", &config)
        .env("LECTERN_LISTEN_RTMP", "127.0.0.1:0")
        .env("LECTERN_LISTEN_ADMIN", "127.0.0.1:0")
        .env("LECTERN_LOG_FORMAT", "json")
        .arg("ingest")
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(child.stderr.take().unwrap()).lines();
    let started = lines.find_map(|line| {
        let line: Value = serde_json::from_str(&line.unwrap()).expect("every line is JSON");
        (line["message"] == "ingest starts").then_some(line)
    });
    let admin = started.unwrap()["admin"].as_str().unwrap().to_owned();
    assert!(std::net::TcpStream::connect(admin).is_ok());
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    // The log ends when the process does.
    assert!(lines.last().unwrap().unwrap().contains("stopped"));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_configuration_reference_is_current() {
    let mut text = String::from(
        "# Configuration of a node\n\nThe operator usually writes this from a LiveEvent. A node \
         reads a JSON file (`--config`); options and environment variables win over it; unknown fields are ignored. An \
         ingest reads its file again when it changes. Generated from the code: `UPDATE=1 cargo test -p lectern-node \
         --test cli` rewrites this file.\n",
    );
    let command = Args::command();
    let schemas =
        [Some(schemars::schema_for!(IngestConfig)), Some(schemars::schema_for!(EdgeConfig)), None::<schemars::Schema>];
    for (role, schema) in ["ingest", "edge", "calibrate"].into_iter().zip(schemas) {
        let _ = write!(
            text,
            "\n## `lectern-node {role}`\n\n### Options\n\n| option | environment | meaning |\n|---|---|---|\n"
        );
        let subcommand = command.find_subcommand(role).unwrap();
        for option in subcommand.get_arguments().chain(command.get_arguments()) {
            let Some(env) = option.get_env() else { continue };
            let meaning = option.get_long_help().or(option.get_help()).unwrap().to_string();
            let (long, env) = (option.get_long().unwrap(), env.to_string_lossy());
            let default: Vec<_> = option
                .get_default_values()
                .iter()
                .map(|value| format!(" [default: {}]", value.to_string_lossy()))
                .collect();
            let _ = writeln!(text, "| `--{long}` | `{env}` | {}{} |", cell(&meaning), default.concat());
        }
        let Some(schema) = schema else { continue };
        let _ = write!(text, "\n### File\n\n| field | type | default | meaning |\n|---|---|---|---|\n");
        rows(schema.as_value(), schema.as_value(), "", &mut text);
    }
    golden("docs/configuration.md", &text);
}

#[test]
fn the_job_that_measures_an_edge_says_what_the_program_understands() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/autoscaling/calibrate.yaml");
    let job: Value = serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    let words = container["command"].as_array().unwrap().iter().chain(container["args"].as_array().unwrap());
    let args = Args::try_parse_from(words.map(|word| word.as_str().unwrap())).unwrap_or_else(|error| panic!("{error}"));
    let Role::Calibrate(options) = args.role else { panic!("{args:?}") };
    let limit_s = job["spec"]["activeDeadlineSeconds"].as_u64().unwrap();
    assert!(options.duration * 2 <= limit_s * 1_000, "it may take twice as long as it should");
}

/// A row a field, nested ones by path.
fn rows(schema: &Value, root: &Value, prefix: &str, text: &mut String) {
    let required: Vec<&str> = strings(&schema["required"]);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{prefix}{name}");
        let own = resolve(field, root);
        let description = field["description"].as_str().or(own["description"].as_str()).unwrap_or_default();
        let default = match &field["default"] {
            _ if required.contains(&name.as_str()) => "required".to_owned(),
            Value::Null => String::new(),
            value if value.is_object() => "see below".to_owned(),
            value => format!("`{value}`"),
        };
        let _ = writeln!(text, "| `{path}` | {} | {default} | {} |", kind(field, root), cell(description));
        rows(own, root, &format!("{path}."), text);
        if let Some(items) = own.get("items") {
            rows(resolve(items, root), root, &format!("{path}[]."), text);
        }
        for variant in own["oneOf"].as_array().into_iter().flatten() {
            let name = &variant["properties"]["type"]["const"];
            let _ = writeln!(
                text,
                "| `{path}`: `{{\"type\": {name}}}` | variant | | {} |",
                cell(variant["description"].as_str().unwrap_or_default())
            );
            let mut fields = variant.clone();
            fields["properties"].as_object_mut().unwrap().remove("type");
            rows(&fields, root, &format!("{path}."), text);
        }
    }
}

fn resolve<'a>(field: &'a Value, root: &'a Value) -> &'a Value {
    let reference = field["$ref"].as_str().or(field["anyOf"][0]["$ref"].as_str());
    reference.and_then(|r| root.pointer(r.trim_start_matches('#'))).unwrap_or(field)
}

fn kind(field: &Value, root: &Value) -> String {
    let own = resolve(field, root);
    let name = match &own["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|k| *k != "null").unwrap_or("any"),
        kind => kind.as_str().unwrap_or(if own.get("oneOf").is_some() { "one of" } else { "address" }),
    };
    match own.get("items") {
        Some(items) => format!("list of {}", kind(items, root)),
        None => name.to_owned(),
    }
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

fn node(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lectern-node"));
    // Only what a test says: an environment variable of whoever runs it would change the result.
    command.env_clear().args(args).output().expect("the binary starts")
}

fn golden(file: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(file);
    lectern_golden::check(path, wanted);
}
