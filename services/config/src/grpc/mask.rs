//! Updates by field mask (AIP-134): the fields of a resource that a request changes, and how each is copied.

use crate::Error;

/// Output-only fields are ignored, so that a resource may be sent back as it was read.
const OUTPUT_ONLY: [&str; 3] = ["create_time", "update_time", "owner"];

/// A field that an update may change.
pub(crate) struct Field<M> {
    /// Its name in the contract.
    pub(crate) name: &'static str,
    /// Copies it from the second message to the first.
    pub(crate) copy: fn(&mut M, &M),
}

/// The named fields of a message, and of messages in it, each with its setter: a field cannot be listed without one.
macro_rules! fields {
    (@one $field:ident) => {
        $crate::grpc::mask::Field {
            name: stringify!($field),
            copy: |to, from| to.$field.clone_from(&from.$field),
        }
    };
    (@one $field:ident . $part:ident) => {
        $crate::grpc::mask::Field {
            name: concat!(stringify!($field), ".", stringify!($part)),
            copy: |to, from| {
                let part = from.$field.as_ref().map(|given| given.$part.clone());
                to.$field.get_or_insert_default().$part = part.unwrap_or_default();
            },
        }
    };
    ($($field:ident $(. $part:ident)?),+ $(,)?) => {
        &[$($crate::grpc::mask::fields!(@one $field $(. $part)?)),+]
    };
}

pub(crate) use fields;

/// The fields of a mask, in JSON or proto spelling; all of `known` without a mask.
///
/// # Errors
///
/// [`Error::FieldInvalid`] for a path that is not one of them.
pub(crate) fn select<M>(
    mask: Option<&prost_types::FieldMask>,
    known: &'static [Field<M>],
) -> Result<Vec<&'static Field<M>>, Error> {
    let paths = mask.map_or(&[][..], |mask| &mask.paths);
    if paths.is_empty() || paths.iter().any(|path| path == "*") {
        return Ok(known.iter().collect());
    }
    let find = |snake: String| {
        known.iter().find(|field| field.name == snake).ok_or_else(|| {
            let names: Vec<_> = known.iter().map(|field| field.name).collect();
            let problem = format!("{snake:?} is not an updatable field; those are {}", names.join(", "));
            Error::FieldInvalid { field: "update_mask".to_owned(), problem }
        })
    };
    let paths = paths.iter().map(|path| snake_case(path));
    paths.filter(|path| !OUTPUT_ONLY.contains(&path.as_str())).map(find).collect()
}

/// `current` with the selected fields of `given`.
pub(crate) fn merge<M>(mut current: M, given: &M, fields: &[&Field<M>]) -> M {
    for field in fields {
        (field.copy)(&mut current, given);
    }
    current
}

/// Converts a JSON name to its proto spelling.
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

    #[derive(Debug, Clone, Default, PartialEq)]
    struct Resource {
        priority: i32,
        base_url: String,
        quota: Option<Quota>,
    }

    #[derive(Debug, Clone, Default, PartialEq)]
    struct Quota {
        calls: i32,
        seconds: i32,
    }

    static KNOWN: &[Field<Resource>] = fields![priority, base_url, quota, quota.calls];

    fn selected(paths: &[&str]) -> Result<Vec<&'static str>, Error> {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        let fields = select(Some(&prost_types::FieldMask { paths }), KNOWN)?;
        Ok(fields.into_iter().map(|field| field.name).collect())
    }

    #[test]
    fn a_mask_accepts_known_fields_in_either_spelling() {
        let all = ["priority", "base_url", "quota", "quota.calls"];
        assert_eq!(selected(&["baseUrl", "priority"]).unwrap(), ["base_url", "priority"]);
        assert_eq!(selected(&["base_url"]).unwrap(), ["base_url"]);
        assert_eq!(selected(&["quota.calls"]).unwrap(), ["quota.calls"]);
        assert!(selected(&["quota.seconds"]).is_err());
        assert_eq!(selected(&["updateTime", "priority"]).unwrap(), ["priority"]);
        assert!(selected(&["create_time"]).unwrap().is_empty());
        assert_eq!(selected(&["*"]).unwrap(), all);
        assert_eq!(selected(&[]).unwrap(), all);
        assert_eq!(select(None, KNOWN).unwrap().len(), all.len());
        let Err(Error::FieldInvalid { field, problem }) = selected(&["priority", "etag"]) else { panic!() };
        assert_eq!(field, "update_mask");
        assert!(problem.starts_with("\"etag\" is not an updatable field"), "{problem}");
    }

    #[test]
    fn only_selected_fields_are_copied() {
        let present = Resource { priority: 1, base_url: "old".to_owned(), quota: None };
        let quota = Some(Quota { calls: 5, seconds: 6 });
        let given = Resource { priority: 2, base_url: "new".to_owned(), quota: quota.clone() };
        let merged = |name: &str| {
            let fields: Vec<_> = KNOWN.iter().filter(|field| field.name == name).collect();
            merge(present.clone(), &given, &fields)
        };
        assert_eq!(merged("priority"), Resource { priority: 2, ..present.clone() });
        assert_eq!(merged("base_url"), Resource { base_url: "new".to_owned(), ..present.clone() });
        assert_eq!(merged(""), present);
        assert_eq!(merged("quota"), Resource { quota, ..present.clone() });
        let calls = Some(Quota { calls: 5, seconds: 0 });
        assert_eq!(merged("quota.calls"), Resource { quota: calls, ..present.clone() });
    }
}
