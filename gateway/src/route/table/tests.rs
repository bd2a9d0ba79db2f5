//! Look-ups as a table of paths, and against a matcher that tries every template.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// The template and `field=value` in the order of the path, or the error.
fn shown(found: Result<Found<'_, ()>, RouteError>) -> String {
    let Found { template, variables, .. } = match found {
        Ok(found) => found,
        Err(error) => return error.to_string(),
    };
    let variables = variables.iter().map(|(field, value)| format!(" {field}={value}"));
    std::iter::once(template.to_string()).chain(variables).collect()
}

fn table<'a>(routes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Table<()> {
    let mut table = Table::default();
    for (method, template) in routes {
        table.insert(method, Template::parse(template).unwrap(), ()).unwrap();
    }
    table
}

const ROUTES: [(&str, &str); 19] = [
    ("GET", "/v1/flows"),
    ("POST", "/v1/flows"),
    ("POST", "/v1/flows:analyze"),
    ("GET", "/v1/flows/{id}"),
    ("DELETE", "/v1/flows/{id}"),
    ("GET", "/v1/flows/{id}:watch"),
    ("GET", "/v1/flows/latest"),
    ("POST", "/v1/flows/mine"),
    ("GET", "/v1/flows/{flow.id}/parts/{part}"),
    ("GET", "/v1/entries/{key=**}"),
    ("PUT", "/v1/entries/{entry.key=**}"),
    ("GET", "/v1/{name=shelves/*/books/*}"),
    ("GET", "/v1/{name=shelves/**}:list"),
    ("GET", "/v2/**"),
    ("GET", "/v2/a/{b}/c"),
    ("GET", "/v2/{a}/b/d"),
    ("HEAD", "/v2/{head}"),
    ("LOCK", "/v2/{lock=**}"),
    ("GET", "/v3/{kind=caffè}"),
];

#[track_caller]
fn check(request: &str, expected: &str) {
    let table = table(ROUTES);
    let (method, path) = request.split_once(' ').unwrap();
    assert_eq!(shown(table.find(method, path)), expected, "{request}");
}

#[test]
fn literals_precede_wildcards_and_wildcards_precede_rests() {
    check("GET /v1/flows", "/v1/flows");
    check("GET /v1/flows/latest", "/v1/flows/latest");
    check("GET /v1/flows/x", "/v1/flows/{id} id=x");
    check("GET /v1/flows/a/parts/b", "/v1/flows/{flow.id}/parts/{part} flow.id=a part=b");
    check("GET /v2/a/b/c", "/v2/a/{b}/c b=b");
    check("GET /v2/a/b/d", "/v2/{a}/b/d a=a");
    check("GET /v2/a/b/e", "/v2/**");
    check("GET /v1/shelves/a/books/b", "/v1/{name=shelves/*/books/*} name=shelves/a/books/b");
}

#[test]
fn a_literal_of_another_method_does_not_hide_a_wildcard() {
    check("GET /v1/flows/mine", "/v1/flows/{id} id=mine");
    check("POST /v1/flows/mine", "/v1/flows/mine");
}

#[test]
fn rests_match_any_number_of_segments_but_no_empty_variable() {
    check("GET /v1/entries/a", "/v1/entries/{key=**} key=a");
    check("PUT /v1/entries/a/b/c", "/v1/entries/{entry.key=**} entry.key=a/b/c");
    check("GET /v2", "/v2/**");
    check("GET /v1/shelves:list", "/v1/{name=shelves/**}:list name=shelves");
    check("GET /v1/entries", "key in the path is empty");
    check("GET /v1/entries/", "key in the path is empty");
    check("PUT /v1/entries//", "entry.key in the path is empty");
    check("GET /v1/flows/", "id in the path is empty");
    check("GET /v1/flows//parts/b", "flow.id in the path is empty");
    check("GET /v1/flows/:watch", "id in the path is empty");
    check("LOCK /v2", "lock in the path is empty");
}

#[test]
fn literals_are_compared_decoded_and_values_keep_their_segments() {
    check("GET /v1/fl%6fws", "/v1/flows");
    check("GET /v3/caff%C3%A8", "/v3/{kind=caffè} kind=caffè");
    check("GET /v3/caffè", "/v3/{kind=caffè} kind=caffè");
    check("GET /v1/flows/a%2Fb%20%C3%A8%25", "/v1/flows/{id} id=a/b è%");
    check("GET /v1/entries/a%2fb%2F%20%C3%A8%3a/%7E", "/v1/entries/{key=**} key=a%2fb%2F è%3a/~");
    let reserved = "%3A%2F%3F%23%5B%5D%40%21%24%26%27%28%29%2A%2B%2C%3B%3D";
    check(&format!("GET /v1/entries/{reserved}%2D"), &format!("/v1/entries/{{key=**}} key={reserved}-"));
    check("GET /v1/shelves/a%2Fb/books/%63", "/v1/{name=shelves/*/books/*} name=shelves/a%2Fb/books/c");
    check("GET /v1%2Fflows", "no route matches this path; reflection lists the routes");
}

#[test]
fn a_final_word_after_a_colon_is_preferably_a_verb() {
    check("POST /v1/flows:analyze", "/v1/flows:analyze");
    check("POST /v1/flows:an%61lyze", "/v1/flows:analyze");
    check("GET /v1/flows/a:watch", "/v1/flows/{id}:watch id=a");
    check("GET /v1/flows/a:b:watch", "/v1/flows/{id}:watch id=a:b");
    check("GET /v1/flows/a:watch:b", "/v1/flows/{id} id=a:watch:b");
    check("GET /v1/flows/a%3Awatch", "/v1/flows/{id} id=a:watch");
    check("GET /v1/entries/a:watch", "/v1/entries/{key=**} key=a:watch");
    check("GET /v1/flows/a:watch/parts/b", "/v1/flows/{flow.id}/parts/{part} flow.id=a:watch part=b");
    check("GET /v1/flows/a:", "/v1/flows/{id} id=a:");
    // The verb is compared literally: a segment that only resembles it is not removed.
    check("DELETE /v1/flows/a:watch", "this path allows only GET, HEAD");
    check("GET /v1/flows:other", "no route matches this path; reflection lists the routes");
}

#[test]
fn dots_and_empty_segments_are_never_normalized() {
    for dots in [".", "..", "%2e", "%2E.", ".%2e", "%2e%2E"] {
        check(&format!("GET /v1/flows/{dots}"), "the path cannot be read: a `.` or `..` segment");
        check(&format!("GET /v1/flows/{dots}:watch"), "the path cannot be read: a `.` or `..` segment");
        check(&format!("GET /v1/flows/{dots}/parts/b"), "the path cannot be read: a `.` or `..` segment");
        check(&format!("GET /v1/entries/a/{dots}/b"), "the path cannot be read: a `.` or `..` segment");
        check(&format!("GET /v1/x/{dots}/flows"), "no route matches this path; reflection lists the routes");
        check(&format!("GET /v2/{dots}"), "no route matches this path; reflection lists the routes");
    }
    check("GET /v1/flows/...", "/v1/flows/{id} id=...");
    for path in [
        "",
        "/",
        "//",
        "/v1//flows",
        "//v1/flows",
        "/v1/flows/a/",
        "/v1/entries/a//b",
        "/v2/",
        "v1/flows",
        "*",
    ] {
        check(&format!("GET {path}"), "no route matches this path; reflection lists the routes");
    }
}

#[test]
fn malformed_paths_are_rejected_for_every_route() {
    let malformed = |path: &str, what: &str| check(path, &format!("the path cannot be read: {what}"));
    for end in ["%", "%2", "%zz", "%+1", "a%2/b", "%%41"] {
        malformed(&format!("GET /x/{end}"), "a percent sign without two hexadecimal digits");
    }
    for end in ["%ff", "%C3", "%C3/%A8", "%ED%A0%80", "%C0%AF"] {
        malformed(&format!("GET /x/{end}"), "percent-encoding of something other than UTF-8");
    }
    malformed("GET /v1/flows/a%00", "a NUL byte");
    malformed("GET /v1/flows/\0", "a NUL byte");
}

#[test]
fn allowed_methods_are_listed_with_head_for_get() {
    check("HEAD /v1/flows", "/v1/flows");
    check("HEAD /v2/a", "/v2/{head} head=a");
    check("HEAD /v2/a/b", "/v2/**");
    check("LOCK /v2/a/b", "/v2/{lock=**} lock=a/b");
    check("PATCH /v1/flows", "this path allows only GET, HEAD, POST");
    check("PATCH /v1/flows/mine", "this path allows only DELETE, GET, HEAD, POST");
    check("HEAD /v1/flows:analyze", "this path allows only POST");
    check("PUT /v2/a", "this path allows only GET, HEAD, LOCK");
    check("get /v1/flows", "this path allows only GET, HEAD, POST");
    check("HEAD /v1/flows/", "id in the path is empty");
}

#[test]
fn a_conflict_names_both_templates() {
    let pairs = [
        ("/a/{x}", "/a/{y}", true),
        ("/a/{x}", "/a/*", true),
        ("/{x=a/*}", "/a/{y}", true),
        ("/a/**:v", "/{x=a/**}:v", true),
        ("/a/*", "/a/**", false),
        ("/a/*", "/a/b", false),
        ("/a:v", "/a:w", false),
        ("/a:v", "/a", false),
    ];
    for (one, other, is_conflict) in pairs {
        let mut table = table([("GET", one), ("PUT", other)]);
        let conflict = table.insert("GET", Template::parse(other).unwrap(), ()).err();
        let expected = is_conflict.then(|| format!("GET {one} and GET {other} match the same paths"));
        assert_eq!(conflict.map(|conflict| conflict.to_string()), expected);
    }
}

/// Decoded byte by byte, but for `kept`.
fn plain(raw: &str, kept: &[u8]) -> String {
    let (mut bytes, mut at) = (Vec::new(), 0);
    while let Some(&first) = raw.as_bytes().get(at) {
        let escaped = (first == b'%').then(|| u8::from_str_radix(&raw[at + 1..at + 3], 16).unwrap());
        let escaped = escaped.filter(|byte| !kept.contains(byte));
        bytes.push(escaped.unwrap_or(first));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8(bytes).unwrap()
}

/// Matches a template against a path directly, without a trie.
struct Match<'t> {
    /// Ranks of the segments: the least is the one to find.
    ranks: Vec<u8>,
    /// Whether wildcards may match their segments.
    fit: bool,
    /// Fields with their raw values.
    values: Vec<(&'t Variable, String)>,
}

fn matched<'t>(template: &'t Template, path: &str) -> Option<Match<'t>> {
    let path: Vec<_> = path.split('/').collect();
    let (mut ranks, mut fit) = (Vec::new(), true);
    for (at, segment) in template.segments.iter().enumerate() {
        let taken = if *segment == Segment::Rest { path.get(at..)? } else { path.get(at..=at)? };
        ranks.push(match segment {
            Segment::Literal(text) if *text != plain(taken[0], b"") => return None,
            Segment::Literal(_) => 0,
            Segment::One => 1,
            Segment::Rest => 2,
        });
        fit &= ranks[at] == 0 || taken.iter().all(|raw| !["", ".", ".."].contains(&&*plain(raw, b"")));
    }
    let is_open = ranks.last() == Some(&2);
    if path.len() > ranks.len() && !is_open {
        return None;
    }
    // Which segments a variable has, the text itself tells: those from its brace to the other.
    let (mut values, mut slashes) = (Vec::new(), 0);
    let mut pieces = template.as_str().split(['{', '}']);
    for variable in template.variables() {
        slashes += pieces.next()?.matches('/').count();
        let start = path.len().min(slashes - 1);
        slashes += pieces.next()?.matches('/').count();
        let end = if is_open && slashes == ranks.len() { path.len() } else { slashes };
        values.push((variable, path[start..end].join("/")));
    }
    fit &= values.iter().all(|(_, value)| !value.is_empty());
    Some(Match { ranks, fit, values })
}

/// The error of the first invalid variable.
fn refusal((variable, raw): &(&Variable, String)) -> Option<String> {
    if raw.split('/').all(str::is_empty) {
        return Some(format!("{} in the path is empty", variable.field_path()));
    }
    let has_dots = raw.split('/').any(|raw| [".", ".."].contains(&&*plain(raw, b"")));
    has_dots.then(|| "the path cannot be read: a `.` or `..` segment".to_owned())
}

fn naive(routes: &[(&str, Template)], method: &str, path: &str) -> String {
    let path = &path[1..];
    let verb = path.rsplit_once(':').map(|(rest, word)| (rest, Some(plain(word, b""))));
    for (path, verb) in verb.into_iter().chain([(path, None)]) {
        let routes = routes.iter().filter(|(_, template)| template.verb == verb);
        let mut all: Vec<_> =
            routes.filter_map(|(m, template)| Some((*m, template, matched(template, path)?))).collect();
        all.sort_by(|(.., one), (.., other)| one.ranks.cmp(&other.ranks));
        let (fit, unfit): (Vec<_>, Vec<_>) = all.into_iter().partition(|(.., found)| found.fit);

        let of = |wanted: &str| fit.iter().find(|(m, ..)| *m == wanted);
        if let Some((_, template, Match { values, .. })) =
            of(method).or(of("GET").filter(|_| method == "HEAD"))
        {
            let kept =
                |variable: &Variable| if variable.is_single() { &b""[..] } else { b":/?#[]@!$&'()*+,;=" };
            let value =
                |(v, raw): &(&Variable, String)| format!(" {}={}", v.field_path(), plain(raw, kept(v)));
            return std::iter::once(template.to_string()).chain(values.iter().map(value)).collect();
        }
        let mut own = unfit.iter().filter(|(m, ..)| *m == method || (method == "HEAD" && *m == "GET"));
        if let Some(refusal) = own.find_map(|(.., found)| found.values.iter().find_map(refusal)) {
            return refusal;
        }
        let head = of("GET").map(|_| "HEAD");
        let allowed: BTreeSet<_> = fit.iter().map(|(m, ..)| *m).chain(head).collect();
        if !allowed.is_empty() {
            return format!("this path allows only {}", Vec::from_iter(allowed).join(", "));
        }
    }
    "no route matches this path; reflection lists the routes".to_owned()
}

fn methods() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["GET", "HEAD", "PUT"])
}

/// Templates over so few segments that paths often match several.
fn templates() -> impl Strategy<Value = Template> {
    let segments =
        prop::sample::select(vec!["a", "b", "è", "*", "{?}", "{?=a}", "{?=*/b}", "{?=a/*}", "{?=b/*/*}"]);
    let last = prop::sample::select(vec!["", "", "/**", "/{?=**}", "/{?=a/**}", "/{?=*/**}"]);
    let verb = prop::sample::select(vec!["", "", ":v", ":w"]);
    (prop::collection::vec(segments, 1..4), last, verb).prop_map(|(segments, last, verb)| {
        let mut text = format!("/{}{last}{verb}", segments.join("/"));
        for field in 'f'..='m' {
            text = text.replacen('?', &field.to_string(), 1);
        }
        Template::parse(&text).unwrap()
    })
}

fn paths() -> impl Strategy<Value = String> {
    let frequent = prop::sample::select(vec!["a", "b", "%61", "%C3%A8", "c"]);
    let odd = prop::sample::select(vec![
        "",
        ".",
        "%2e%2E",
        "è",
        "a%2Fb",
        "b%20%2f%3A",
        "a:v",
        "%3Av",
        ":v",
        "..:w",
    ]);
    let verb = prop::sample::select(vec!["", "", ":v", ":%77", "%3Av", ":x", ":", "/"]);
    (prop::collection::vec(prop_oneof![4 => frequent, 1 => odd], 0..5), verb)
        .prop_map(|(segments, verb)| format!("/{}{verb}", segments.join("/")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn the_trie_finds_the_same_as_a_linear_search(
        routes in prop::collection::vec((methods(), templates()), 1..24),
        requests in prop::collection::vec((methods(), paths()), 24),
    ) {
        let mut table = Table::default();
        let routes: Vec<_> =
            routes.into_iter().filter(|(method, template)| table.insert(method, template.clone(), ()).is_ok()).collect();
        for (method, path) in requests {
            prop_assert_eq!(shown(table.find(method, &path)), naive(&routes, method, &path), "{} {}", method, path);
        }
    }

    #[test]
    fn any_text_is_handled(method in methods(), path in any::<String>(), escapes in "(/|%[0-9a-fA-F]{2}|:|\\.)*") {
        let table = table(ROUTES);
        for path in [format!("/v1/entries/{path}"), format!("/v1/entries/{escapes}"), path, escapes] {
            if let Ok(found) = table.find(method, &path) {
                prop_assert!(found.variables.iter().all(|(_, value)| !value.is_empty() && !value.contains('\0')));
            }
        }
    }
}
