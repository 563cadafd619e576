//! A recipe and its values from the command line.

use anyhow::Context as _;
use auth_core::SecretSource;
use auth_providers::recipe::{Recipe, Values};

/// Reads `FILE FIELD=VALUE ..`, and `--plain-http` for a server without TLS in a network at home.
///
/// A value may be `env:VARIABLE` or `file:PATH`, and a secret should
/// be one of the two, since a command line is seen by others. Returns what else there is.
pub(crate) fn read(arguments: &[String]) -> anyhow::Result<(Recipe, Values, Vec<String>)> {
    let [file, arguments @ ..] = arguments else {
        anyhow::bail!("name a recipe's file");
    };
    let text = std::fs::read_to_string(file).with_context(|| format!("{file} can't be read"))?;
    let recipe = match file.strip_suffix(".json") {
        Some(_) => Recipe::from_json(&text)?,
        None => Recipe::from_toml(&text)?,
    };
    let (mut values, mut others) = (Values::new(), Vec::new());
    for argument in arguments {
        if argument == "--plain-http" {
            values = values.allow_plain_http();
            continue;
        }
        // A request begins with a method and a space.
        match argument
            .split_once('=')
            .filter(|(field, _)| !field.contains(' '))
        {
            Some((field, value)) => values = values.with(field, source(value)),
            None => others.push(argument.clone()),
        }
    }
    Ok((recipe, values, others))
}

fn source(value: &str) -> SecretSource {
    if let Some(variable) = value.strip_prefix("env:") {
        SecretSource::variable(variable)
    } else if let Some(path) = value.strip_prefix("file:") {
        SecretSource::file(path)
    } else {
        SecretSource::value(value)
    }
}
