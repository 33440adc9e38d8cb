//! Whatever the file holds, it is understood or refused.

use proptest::prelude::*;

use super::*;

/// Pieces of which files are made, right and wrong.
fn piece() -> impl Strategy<Value = String> {
    let keys = SETTINGS.iter().filter_map(|setting| setting.key).collect::<Vec<_>>();
    prop_oneof![
        4 => proptest::sample::select(keys).prop_map(str::to_owned),
        4 => proptest::sample::select(vec![
            " = ", "\n", "[", "]", "[[", "]]", "{", "}", ",", "\"", "'", "'''", "\"\"\"", ".", "#",
            "true", "2", "-0x", "1e9", "\"0.0.0.0\"", "\"[::1]:1\"", "\\u00", "\r", "\u{feff}", "é",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ]
}

proptest! {
    #[test]
    fn whatever_the_file_holds_every_problem_has_a_place_in_it(
        pieces in proptest::collection::vec(piece(), 0..40)
    ) {
        check_text(pieces.concat().as_bytes())?;
    }

    #[test]
    fn whatever_bytes_the_file_holds_every_problem_has_a_place_in_it(
        bytes in proptest::collection::vec(any::<u8>(), 0..200)
    ) {
        check_text(&bytes)?;
    }

    #[test]
    fn a_file_of_any_values_never_panics(
        key in proptest::sample::select(SETTINGS.iter().filter_map(|s| s.key).collect::<Vec<_>>()),
        value in ".{0,20}",
    ) {
        check_text(format!("{key} = {value:?}\n").as_bytes())?;
        check_text(format!("{key} = '{value}'\n").as_bytes())?;
        check_text(format!("{key} = {value}\n").as_bytes())?;
    }
}

fn check_text(bytes: &[u8]) -> Result<(), TestCaseError> {
    let (mut layer, mut problems) = file::parse(Path::new("x.toml"), bytes);
    layer.fill_defaults();
    check::check(&layer, None, &mut problems, &mut Vec::new());
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.split('\n').collect();
    for problem in problems {
        if let Origin::File(place) = &problem.origin {
            prop_assert!(place.line >= 1 && place.line <= lines.len(), "{}", problem);
            let width = lines[place.line - 1].chars().count();
            prop_assert!(place.column >= 1 && place.column <= width + 1, "{}", problem);
        }
        prop_assert!(!problem.to_string().contains('\n'), "{}", problem);
    }
    Ok(())
}
