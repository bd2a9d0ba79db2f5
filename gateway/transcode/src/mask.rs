//! The paths of `google.protobuf.FieldMask`: snake case in messages, camel case in JSON.

/// A path as JSON writes it; none if it would be another one on its way back.
pub(crate) fn camel_case(path: &str) -> Option<String> {
    let (mut camel, mut letters) = (String::with_capacity(path.len()), path.chars());
    while let Some(letter) = letters.next() {
        match letter {
            'A'..='Z' | ',' => return None,
            '_' => match letters.next() {
                Some(next @ 'a'..='z') => camel.push(next.to_ascii_uppercase()),
                _ => return None,
            },
            _ => camel.push(letter),
        }
    }
    Some(camel)
}

/// A path of JSON as messages have it; none if it is not in camel case.
pub(crate) fn snake_case(path: &str) -> Option<String> {
    let mut snake = String::with_capacity(path.len());
    for letter in path.chars() {
        match letter {
            '_' => return None,
            'A'..='Z' => {
                snake.push('_');
                snake.push(letter.to_ascii_lowercase());
            }
            _ => snake.push(letter),
        }
    }
    Some(snake)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_change_their_case() {
        let check = |snake: &str, camel: &str| {
            assert_eq!(camel_case(snake).as_deref(), Some(camel));
            assert_eq!(snake_case(camel).as_deref(), Some(snake));
        };
        check("", "");
        check("foo.bar_baz", "foo.barBaz");
        check("a_b_c", "aBC");
        check("f1.g", "f1.g");
    }

    #[test]
    fn paths_that_would_change_have_no_form_in_json() {
        for path in ["fooBar", "foo__bar", "foo_", "foo_3_bar", "a,b"] {
            assert_eq!(camel_case(path), None, "{path}");
        }
        assert_eq!(snake_case("foo_bar"), None);
    }
}
