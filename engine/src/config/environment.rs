//! The layer of environment variables.

use std::ffi::OsString;

use super::error::{Fault, Problem, Shown, Warning};
use super::layer::{Item, Layer, parse_switch};
use super::origin::Origin;
use super::setting::{Kind, Setting};
use super::similar::nearest;
use super::table::SETTINGS;

/// Every variable of ours begins so.
const PREFIX: &str = "SENTRYPEER_";

/// Reads the variables of every setting.
pub(super) fn read(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Warning>,
) -> Layer {
    let ours: Vec<(String, OsString)> = variables
        .into_iter()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value))
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect();
    let mut layer = Layer::new();
    for setting in SETTINGS {
        if let Some((name, value)) = choose(setting, &ours, warnings)
            && let Err(fault) = take(setting, name, value, &mut layer)
        {
            let origin = Origin::Environment(name);
            problems.push(Problem { origin, id: Some(setting.id), fault });
        }
    }
    warnings.extend(unknown(&ours));
    layer
}

/// The variable of this setting that counts: the first in the table's order that says something,
/// else one that is there and empty.
fn choose<'a>(
    setting: &Setting,
    ours: &'a [(String, OsString)],
    warnings: &mut Vec<Warning>,
) -> Option<(&'static str, &'a OsString)> {
    let there: Vec<(&'static str, &OsString)> = setting
        .environment
        .iter()
        .filter_map(|&name| Some((name, &ours.iter().find(|(n, _)| n == name)?.1)))
        .collect();
    let chosen = *there.iter().find(|(_, value)| !value.is_empty()).or(there.first())?;
    for (ignored, value) in there {
        if ignored != chosen.0 && !value.is_empty() && value != chosen.1 {
            warnings.push(Warning::VariableIgnored { ignored, used: chosen.0 });
        }
    }
    Some(chosen)
}

fn take(
    setting: &Setting,
    name: &'static str,
    value: &OsString,
    layer: &mut Layer,
) -> Result<(), Fault> {
    let origin = Origin::Environment(name);
    if setting.kind == Kind::Switch {
        let text = value.to_str().ok_or(Fault::NotUtf8)?;
        let on = parse_switch(text).ok_or_else(|| Fault::NotASwitch(Shown::text(text)))?;
        layer.switch(setting.id, on, origin);
    } else {
        let item = Item { text: value.clone(), origin: origin.clone() };
        layer.items(setting.id, vec![item], origin);
    }
    Ok(())
}

/// Our variables that no setting reads, in alphabetical order.
fn unknown(ours: &[(String, OsString)]) -> Vec<Warning> {
    let known = || SETTINGS.iter().flat_map(|setting| setting.environment.iter().copied());
    let mut names: Vec<&String> =
        ours.iter().map(|(name, _)| name).filter(|name| known().all(|k| k != **name)).collect();
    names.sort();
    names
        .into_iter()
        .map(|name| Warning::UnknownVariable { name: name.clone(), nearest: similar(name) })
        .collect()
}

/// The variable that was probably meant. All begin alike, so only what follows is compared.
fn similar(name: &str) -> Option<&'static str> {
    let own = |name: &'static str| name.strip_prefix(PREFIX).unwrap_or(name);
    let known = || SETTINGS.iter().flat_map(|setting| setting.environment.iter().copied());
    let near = nearest(name.strip_prefix(PREFIX).unwrap_or(name), known().map(own))?;
    known().find(|name| own(name) == near)
}
