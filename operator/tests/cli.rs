//! The references that people read, generated from the code: `docs/liveevent.md` and `docs/lectern.md`. `UPDATE=1`
//! rewrites them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot write its text must fail")]

use clap::{Command, CommandFactory};
use lectern::args::Args;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;

fn golden(name: &str, text: &str) {
    let path = format!("{}/../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    lectern_golden::check(path, text);
}

#[test]
fn the_reference_of_the_event_is_what_the_definition_says() {
    let definition = serde_json::to_value(lectern_api::live_event::definition()).unwrap();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    let mut text = String::from(
        "# LiveEvent\n\nEvery field of `lectern.dev/v1alpha1`, kind `LiveEvent` (short name `le`); `kubectl explain` says the same. \
         [examples/](../examples/) has events to start from. Generated from the code: `UPDATE=1 cargo test -p lectern --test cli` \
         rewrites this file.\n",
    );
    for (part, words) in [("spec", "What you write"), ("status", "What the operator answers")] {
        write!(text, "\n## {words}: `{part}`\n\n| field | type | default | meaning |\n|---|---|---|---|\n").unwrap();
        fields(&mut text, &schema[part], "");
    }
    text.push_str("\n## What is refused\n\nThe API server and `lectern local` say so at once, with these words:\n\n");
    let root = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut told = BTreeSet::new();
    each(root, &mut |schema| {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            let words = rule["message"].as_str().unwrap();
            if told.insert(words.to_owned()) {
                writeln!(text, "* {words}").unwrap();
            }
        }
    });
    golden("liveevent.md", &text);
}

/// One row a field, those of objects and list items below it.
fn fields(text: &mut String, schema: &Value, prefix: &str) {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let list = field["type"] == "array";
        let inner = if list { &field["items"] } else { field };
        let path = format!("{prefix}{name}{}", if list { "[]" } else { "" });
        let default = match &field["default"] {
            Value::Null if required.contains(&name.as_str()) => "required".to_owned(),
            Value::Null | Value::Object(_) => String::new(),
            value => format!("`{value}`"),
        };
        let words = field["description"].as_str().unwrap_or_default().replace("\n\n", " ").replace('|', "\\|");
        writeln!(text, "| `{path}` | {} | {default} | {words} |", kind(inner)).unwrap();
        // Conditions are those of Kubernetes.
        if name != "conditions" {
            fields(text, inner, &format!("{path}."));
        }
    }
}

fn kind(schema: &Value) -> String {
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    }
    if schema["x-kubernetes-int-or-string"] == true {
        return "quantity".into();
    }
    if schema["additionalProperties"].is_object() {
        return "map".into();
    }
    let number = |bound: &str| schema[bound].as_f64();
    match (schema["format"].as_str(), number("minimum"), number("maximum")) {
        (Some("date-time"), ..) => "time".into(),
        (Some("date"), ..) => "date".into(),
        (_, Some(min), Some(max)) => format!("{min} to {max}"),
        _ => schema["type"].as_str().unwrap_or_default().to_owned(),
    }
}

/// Calls `look` with every schema, from the outside in.
fn each(schema: &Value, look: &mut impl FnMut(&Value)) {
    look(schema);
    schema["properties"].as_object().into_iter().flatten().for_each(|(_, field)| each(field, look));
    if schema["items"].is_object() {
        each(&schema["items"], look);
    }
}

#[test]
fn the_reference_of_the_commands_is_what_they_say() {
    let command = Args::command();
    let mut text = String::from(
        "# The command `lectern`\n\nEvery option is also an environment variable. Generated from the code: \
         `UPDATE=1 cargo test -p lectern --test cli` rewrites this file.\n",
    );
    for command in command.get_subcommands() {
        reference(&mut text, command);
    }
    golden("lectern.md", &text);
}

fn reference(text: &mut String, command: &Command) {
    write!(text, "\n## `lectern {}`\n\n{}.\n", command.get_name(), command.get_about().unwrap()).unwrap();
    let mut options = command.get_arguments().filter(|option| option.get_long().is_some()).peekable();
    if options.peek().is_some() {
        text.push_str("\n| option | environment | default | meaning |\n|---|---|---|---|\n");
    }
    for option in options {
        let long = option.get_long().unwrap();
        let short = option.get_short().map(|short| format!("`-{short}`, ")).unwrap_or_default();
        let takes = option.get_action().takes_values();
        let value =
            option.get_value_names().filter(|_| takes).map(|names| format!(" {}", names[0])).unwrap_or_default();
        let variable = option.get_env().map(|name| name.to_string_lossy().into_owned()).expect("every option has one");
        let defaults = option.get_default_values().iter().filter(|_| takes);
        let default: Vec<String> = defaults.map(|value| format!("`{}`", value.to_string_lossy())).collect();
        let help = option.get_help().unwrap().to_string();
        writeln!(text, "| {short}`--{long}{value}` | `{variable}` | {} | {help} |", default.join(", ")).unwrap();
    }
}
