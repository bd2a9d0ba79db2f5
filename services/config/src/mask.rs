//! Which fields of a resource a request changes.

use crate::Error;

/// What only the service says: a resource that was read may be sent back as it is.
const OUTPUT_ONLY: [&str; 2] = ["create_time", "update_time"];

/// The fields that a mask names, by their names in the contract; without a mask all of `known`.
///
/// # Errors
///
/// [`Error::FieldInvalid`] for a path that is none of them.
pub(crate) fn fields(
    mask: Option<&[String]>,
    known: &'static [&'static str],
) -> Result<Vec<&'static str>, Error> {
    let Some(paths) = mask.filter(|paths| !paths.is_empty()) else { return Ok(known.to_vec()) };
    if paths.iter().any(|path| path == "*") {
        return Ok(known.to_vec());
    }
    let find = |snake: String| {
        known.iter().copied().find(|known| *known == snake).ok_or_else(|| Error::FieldInvalid {
            field: "update_mask".to_owned(),
            problem: format!("{snake:?} is no field that can be changed; those are {}", known.join(", ")),
        })
    };
    let paths = paths.iter().map(|path| snake_case(path));
    paths.filter(|path| !OUTPUT_ONLY.contains(&path.as_str())).map(find).collect()
}

/// A name as JSON writes it, as the contract writes it.
fn snake_case(name: &str) -> String {
    name.chars().fold(String::with_capacity(name.len()), |mut snake, letter| {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
        snake
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_names_fields_in_either_spelling_and_nothing_else() {
        const KNOWN: &[&str] = &["priority", "base_url"];
        let of = |paths: &[&str]| {
            let paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
            fields(Some(&paths), KNOWN)
        };
        assert_eq!(of(&["baseUrl", "priority"]).unwrap(), ["base_url", "priority"]);
        assert_eq!(of(&["base_url"]).unwrap(), ["base_url"]);
        assert_eq!(of(&["updateTime", "priority"]).unwrap(), ["priority"]);
        assert!(of(&["create_time"]).unwrap().is_empty());
        assert_eq!(of(&["*"]).unwrap(), KNOWN);
        assert_eq!(of(&[]).unwrap(), KNOWN);
        assert_eq!(fields(None, KNOWN).unwrap(), KNOWN);
        let Err(Error::FieldInvalid { field, problem }) = of(&["priority", "etag"]) else { panic!() };
        assert_eq!(field, "update_mask");
        assert!(problem.starts_with("\"etag\" is no field"), "{problem}");
    }
}
