//! A catalogue has the same dataflows, themes and diagnostics in SDMX-ML and in SDMX-JSON, in whatever order its members
//! are written and its bytes arrive.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::tests::properties::{ChunkedReader, outcome};
use crate::tests::themes::{structures, themes};
use crate::tests::*;

/// What a catalogue is written from.
#[derive(Debug, Clone)]
struct Flow {
    id: String,
    version: Option<String>,
    is_final: Option<bool>,
    is_external: bool,
    structure: Option<String>,
    names: Vec<Localized>,
    descriptions: Vec<Localized>,
    annotations: Vec<Note>,
    /// The path of its category.
    category: Option<String>,
}

/// Id, kind, title and value, and the texts.
type Note = (String, String, String, String, Vec<Localized>);

fn localized() -> impl Strategy<Value = Vec<Localized>> {
    // No carriage returns, which XML normalizes.
    vec(("(it|en|de-CH|)", "[ a-z<&>'\"\n\tàé語\u{1}]{0,20}"), 0..3)
}

fn flows() -> impl Strategy<Value = Vec<Flow>> {
    let kind = "(LAST_UPDATE|OBS_COUNT|DATAFLOW_HIDDEN|NonProductionDataflow|X)";
    let note = ("[a-z]{0,3}", kind, "(7|2026-01-02|false|t)", "[a-z]{0,3}", localized());
    let identity = ("[a-zA-Z0-9_@]{0,4}", proptest::option::of("[1-3]\\.[0-9]"));
    let flags = (proptest::option::of(any::<bool>()), any::<bool>());
    let links = (proptest::option::of("[A-Z]{1,3}"), proptest::option::of("(X|X\\.Y|Z|Q)"));
    let texts = (localized(), localized(), vec(note, 0..3));
    let flow = (identity, flags, links, texts).prop_map(|(identity, flags, links, texts)| Flow {
        id: identity.0,
        version: identity.1,
        is_final: flags.0,
        is_external: flags.1,
        structure: links.0,
        names: texts.0,
        descriptions: texts.1,
        annotations: texts.2,
        category: links.1,
    });
    vec(flow, 0..5)
}

const SCHEME: &str = "<s:CategorySchemes><s:CategoryScheme id='S' agencyID='A' version='1.0'><s:Category id='X'>\
    <c:Name xml:lang='en'>Ex</c:Name><s:Category id='Y'/></s:Category><s:Category id='Z'/></s:CategoryScheme>\
    </s:CategorySchemes>";

fn urn(class: &str, id: &str) -> String {
    format!("urn:sdmx:org.sdmx.infomodel.{class}=A:{id}(1.0)")
}

// === SDMX-ML ===

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&apos;")
}

fn elements(name: &str, texts: &[Localized]) -> String {
    let element = |(language, text): &Localized| {
        format!("<c:{name} xml:lang='{language}'>{}</c:{name}>", escaped(text))
    };
    texts.iter().map(element).collect()
}

fn xml(flows: &[Flow]) -> String {
    let (mut dataflows, mut links) = (String::new(), String::new());
    for Flow { id, version, is_final, is_external, structure, names, descriptions, annotations, category } in
        flows
    {
        let version = version.as_ref().map_or(String::new(), |version| format!(" version='{version}'"));
        let is_final = is_final.map_or(String::new(), |flag| format!(" isFinal='{flag}'"));
        let notes: String = annotations
            .iter()
            .map(|(id, kind, title, value, texts)| {
                let texts = elements("AnnotationText", texts);
                format!(
                    "<c:Annotation id='{id}'><c:AnnotationTitle>{title}</c:AnnotationTitle><c:AnnotationType>{kind}\
                     </c:AnnotationType>{texts}<c:AnnotationValue>{value}</c:AnnotationValue></c:Annotation>"
                )
            })
            .collect();
        let structure = structure.as_ref().map_or(String::new(), |id| {
            format!("<s:Structure>{}</s:Structure>", urn("datastructure.DataStructure", id))
        });
        dataflows.push_str(&format!(
            "<s:Dataflow id='{id}' agencyID='A'{version}{is_final} isExternalReference='{is_external}' \
             structureURL='http://u'><c:Annotations>{notes}</c:Annotations>{}{}{structure}</s:Dataflow>",
            elements("Name", names),
            elements("Description", descriptions),
        ));
        if let Some(path) = category {
            let (source, target) = ends(id, path);
            links.push_str(&format!(
                "<s:Categorisation id='c'><s:Source>{source}</s:Source><s:Target>{target}</s:Target></s:Categorisation>"
            ));
        }
    }
    let content = format!(
        "<s:Dataflows>{dataflows}</s:Dataflows>{SCHEME}<s:Categorisations>{links}</s:Categorisations>"
    );
    structures("3_0", &content)
}

fn ends(id: &str, path: &str) -> (String, String) {
    let target = urn("categoryscheme.Category", "S") + "." + path;
    (urn("datastructure.Dataflow", id), target)
}

// === SDMX-JSON ===

/// An object of these members, each a name and a written value, from the one with this number on.
fn object(mut members: Vec<(&str, Option<String>)>, turn: usize) -> String {
    members.retain(|(_, value)| value.is_some());
    let count = members.len().max(1);
    members.rotate_left(turn % count);
    let written = members.into_iter().map(|(name, value)| format!("\"{name}\": {}", value.unwrap()));
    format!("{{{}}}", written.collect::<Vec<_>>().join(",\n "))
}

fn array(elements: impl IntoIterator<Item = String>) -> Option<String> {
    Some(format!("[{}]", elements.into_iter().collect::<Vec<_>>().join(", ")))
}

/// A value as JSON; `null` is written too.
fn value(value: impl Into<serde_json::Value>) -> Option<String> {
    Some(value.into().to_string())
}

/// Texts by language. A language may occur twice.
fn by_language(texts: &[Localized]) -> Option<String> {
    let members = texts.iter().map(|(language, text)| format!("\"{language}\":{}", value(&**text).unwrap()));
    Some(format!("{{{}}}", members.collect::<Vec<_>>().join(",")))
}

fn json(flows: &[Flow], turn: usize) -> String {
    let (mut dataflows, mut links) = (Vec::new(), Vec::new());
    for Flow { id, version, is_final, is_external, structure, names, descriptions, annotations, category } in
        flows
    {
        let notes = annotations.iter().map(|(id, kind, title, note, texts)| {
            let members = vec![
                ("id", value(&**id)),
                ("type", value(&**kind)),
                ("text", texts.first().and_then(|(_, best_match)| value(&**best_match))),
                ("title", value(&**title)),
                ("texts", by_language(texts)),
                ("value", value(&**note)),
            ];
            object(members, turn)
        });
        let structure = structure.as_ref().map(|id| urn("datastructure.DataStructure", id));
        let members = vec![
            ("id", value(&**id)),
            ("agencyID", value("A")),
            ("version", value(version.clone())),
            ("names", by_language(names)),
            ("isFinal", value(*is_final)),
            ("isExternalReference", value(*is_external)),
            ("structureURL", value("http://u")),
            ("descriptions", by_language(descriptions)),
            ("annotations", array(notes)),
            ("structure", value(structure)),
        ];
        dataflows.push(object(members, turn));
        if let Some(path) = category {
            let (source, target) = ends(id, path);
            let members = vec![("id", value("c")), ("source", value(source)), ("target", value(target))];
            links.push(object(members, turn));
        }
    }
    let leaf = |id: &str| object(vec![("id", value(id))], turn);
    let x = vec![
        ("id", value("X")),
        ("names", by_language(&[("en".to_owned(), "Ex".to_owned())])),
        ("categories", array([leaf("Y")])),
    ];
    let scheme = vec![
        ("id", value("S")),
        ("agencyID", value("A")),
        ("version", value("1.0")),
        ("categories", array([object(x, turn), leaf("Z")])),
    ];
    let data = vec![
        ("dataflows", array(dataflows)),
        ("categorySchemes", array([object(scheme, turn)])),
        ("categorisations", array(links)),
    ];
    let meta = vec![("id", value("1")), ("prepared", value("2026-01-01T00:00:00Z"))];
    let root = object(vec![("meta", Some(object(meta, turn))), ("data", Some(object(data, turn)))], turn);
    // First, since it tells the version of dataflows that state none.
    let schema = "https://json.sdmx.org/2.0.0/sdmx-json-structure-schema.json";
    root.replacen('{', &format!("{{\"$schema\": \"{schema}\",\n "), 1)
}

/// The dataflows without their positions, and the reasons in alphabetical order.
fn result(document: &str) -> (Vec<Dataflow>, Vec<&'static str>) {
    let (mut flows, diagnostics, end) = read(document.as_bytes());
    end.unwrap_or_else(|error| panic!("{error}\n{document}"));
    flows.iter_mut().for_each(|flow| flow.position = Position::START);
    let mut reasons: Vec<_> = diagnostics.kept().iter().map(|kept| kept.reason.as_str()).collect();
    reasons.sort_unstable();
    (flows, reasons)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_formats_have_the_same_content(flows in flows(), turn in 0_usize..10) {
        let (xml, json) = (xml(&flows), json(&flows, turn));
        prop_assert_eq!(result(&xml), result(&json), "{}\n{}", xml, json);
        let linked = |document: &str| {
            let (links, mut reasons) = themes(&[document]);
            reasons.sort_unstable();
            (links, reasons)
        };
        prop_assert_eq!(linked(&xml), linked(&json), "{}\n{}", xml, json);
    }

    #[test]
    fn chunk_sizes_do_not_matter(
        flows in flows(),
        sizes in vec(1_usize..40, 1..20),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let document = json(&flows, 0);
        let bytes = document.as_bytes();
        let bytes = &bytes[..cut.map_or(bytes.len(), |cut| cut.index(bytes.len()))];
        prop_assert_eq!(outcome(bytes), outcome(ChunkedReader { rest: bytes, sizes: &sizes, turn: 0 }));
        let wide = document.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>();
        prop_assert_eq!(outcome(&wide[..]), outcome(ChunkedReader { rest: &wide, sizes: &sizes, turn: 0 }));
    }
}

#[test]
fn chunking_does_not_change_the_result() {
    // Long enough for values of every kind to cross chunk boundaries.
    let text = format!("{}\\u00e9", "lorem ipsum è ".repeat(300));
    let flow = format!("{{\"id\":\"a\",\"names\":{{\"en\":\"{text}\"}},\"isFinal\":true,\"x\":1.25}}");
    let document = super::message(&vec![flow; 60].join(",\n"));
    let whole = outcome(document.as_bytes());
    assert!(whole.2.is_ok() && whole.0.len() == 60);
    for size in [1, 7, 4096, 65_535, 65_537] {
        let pieces = ChunkedReader { rest: document.as_bytes(), sizes: &[size], turn: 0 };
        // Not `assert_eq`, which would print both.
        assert!(outcome(pieces) == whole, "{size}");
    }
}
