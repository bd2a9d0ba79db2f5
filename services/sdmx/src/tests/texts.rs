//! The texts of a dataflow: their languages, and encodings that documents declare wrongly.

use super::*;

fn names(content: &str) -> (Vec<Localized>, Vec<Reason>) {
    let document = message(&format!("<s:Dataflow id='a'>{content}</s:Dataflow>"));
    let (mut flows, diagnostics, end) = read(document.as_bytes());
    end.unwrap_or_else(|error| panic!("{error}\n{document}"));
    (flows.remove(0).names, diagnostics.kept().iter().map(|kept| kept.reason).collect())
}

#[track_caller]
fn check(content: &str, expected: &[(&str, &str)], reasons: &[Reason]) {
    let (found, diagnosed) = names(content);
    assert_eq!((texts(&found).as_slice(), diagnosed.as_slice()), (expected, reasons), "{content}");
}

#[test]
fn one_text_of_each_language_is_kept() {
    let again = &[Reason::DuplicateLanguage];
    check("<c:Name>a</c:Name><c:Name>b</c:Name>", &[("", "a")], again);
    check("<c:Name>a</c:Name><c:Name xml:lang='und'>b</c:Name>", &[("", "a")], again);
    check("<c:Name xml:lang='it'>a</c:Name><c:Name xml:lang='IT'>b</c:Name>", &[("it", "a")], again);
    check("<c:Name xml:lang='it'/><c:Name xml:lang='it'>b</c:Name>", &[("it", "b")], &[]);
    let descriptions = "<c:Name>a</c:Name><c:Description>1</c:Description><c:Description>2</c:Description>";
    check(descriptions, &[("", "a")], again);
    let many: String = (0..100).map(|number| format!("<c:Name xml:lang='x-{number}'>a</c:Name>")).collect();
    assert_eq!(names(&many.repeat(2)).0.len(), 100);
}

#[test]
fn a_text_has_the_language_that_it_states_itself() {
    // The schema allows no language at the dataflow, so texts inherit none.
    let document = message("<s:Dataflow id='a' xml:lang='it'><c:Name>Occupati</c:Name></s:Dataflow>");
    assert_eq!(texts(&flows(&document)[0].names), [("", "Occupati")]);
    let tagged = "<c:Name>a</c:Name><c:Name xml:lang='ita'>b</c:Name><c:Name xml:lang='x-default'>c</c:Name>";
    check(tagged, &[("", "a"), ("ita", "b"), ("x-default", "c")], &[]);
}

#[test]
fn markup_is_kept_as_text() {
    check("<c:Name>&lt;b&gt;Births&lt;/b&gt; &amp;eacute;</c:Name>", &[("", "<b>Births</b> &eacute;")], &[]);
}

#[test]
fn garbled_texts_are_reported_and_kept() {
    check("<c:Name>Ã‰ducation</c:Name>", &[("", "Ã‰ducation")], &[Reason::GarbledText]);
    check("<c:Name>L&#146;emploi</c:Name>", &[("", "L\u{92}emploi")], &[Reason::GarbledText]);
    check("<c:Name>L’éducation à São Paulo</c:Name>", &[("", "L’éducation à São Paulo")], &[]);
}

/// A document in this encoding, with these bytes as a name in the second line.
fn encoded(encoding: &str, name: &[u8]) -> Vec<u8> {
    let document = message("<s:Dataflow id='a'><c:Name>@</c:Name></s:Dataflow>");
    let (before, after) = document.split_once('@').unwrap();
    let head = format!("<?xml version='1.0' encoding='{encoding}'?>\n{before}");
    [head.as_bytes(), name, after.as_bytes()].concat()
}

#[test]
fn code_pages_are_decoded() {
    let check = |encoding: &str, name: &[u8], expected: &str| {
        let (flows, diagnostics, end) = read(&encoded(encoding, name)[..]);
        end.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(texts(&flows[0].names), [("", expected)], "{encoding}");
        assert!(diagnostics.is_empty(), "{encoding}: {diagnostics:?}");
    };
    check("windows-1252", b"L\x92emploi salari\xe9 \x96 sant\xe9", "L’emploi salarié – santé");
    check("ISO-8859-15", b"Prix en \xa4", "Prix en €");
    check("ISO-8859-2", b"\xb1", "ą");
    check("windows-1250", b"\xb9", "ą");
    check("CP1251", b"\xd6\xe5\xed\xe0", "Цена");
    check("ISO-8859-7", b"\xd4\xe9\xec\xdd\xf2", "Τιμές");
    check("iso-8859-1", b"sant\xe9", "santé");
}

#[test]
fn a_code_page_of_windows_that_is_declared_as_iso_is_reported() {
    let check = |encoding: &str, name: &[u8], expected: &str, byte: Option<u8>| {
        let document = encoded(encoding, name);
        let (flows, diagnostics, end) = read(&document[..]);
        end.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(texts(&flows[0].names), [("", expected)], "{encoding}");
        let found = diagnostics.kept().first().map(|kept| {
            assert_eq!((kept.reason, kept.position.line), (Reason::EncodingMislabeled, 2));
            document[usize::try_from(kept.position.offset).unwrap()]
        });
        assert_eq!(found, byte, "{encoding}");
    };
    check("ISO-8859-1", b"\xe9 L\x92emploi \x96", "é L’emploi –", Some(0x92));
    check("latin1", b"\x80", "€", Some(0x80));
    check("ISO-8859-9", b"\x85\xfd", "…ı", Some(0x85));
    check("windows-1252", b"L\x92emploi", "L’emploi", None);
    // Other parts have no superset: the byte is a control character.
    let document = encoded("ISO-8859-2", b"L\x92emploi");
    let (flows, diagnostics, _) = read(&document[..]);
    assert_eq!(texts(&flows[0].names), [("", "L\u{92}emploi")]);
    assert_eq!(diagnostics.kept()[0].reason, Reason::GarbledText);
}

#[test]
fn positions_count_bytes_of_the_code_page() {
    let name =
        [b"\xe9".repeat(100_000), b"</c:Name><c:Description>&bad;</c:Description><c:Name>".to_vec()].concat();
    let document = encoded("windows-1252", &name);
    let error = read(&document[..]).2.unwrap_err();
    assert_eq!(document[usize::try_from(error.position.offset).unwrap()..][..5], *b"&bad;");
}
