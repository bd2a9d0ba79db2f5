//! What is visible, where it comes from, and texts that could be slow.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(text: &str, expected: &str) {
    let seen = visible(text);
    let words: Vec<_> = seen.text().split_whitespace().collect();
    assert_eq!(words.join(" "), expected, "{text:?}");
}

#[test]
fn tags_attributes_and_comments_are_invisible() {
    check("plain text, as most", "plain text, as most");
    check("<p class=\"text-health\">D&eacute;penses</p>", "Depenses");
    check("a<br/>b", "a b");
    check("<a title='x > health' href=\"migration\">note</a>", "note");
    check("<!-- health --> prices", "prices");
    check("&lt;p&gt;prices&lt;/p&gt; &amp;lt;b&amp;gt;", "prices");
    check("age < 15, x <y", "age < 15, x <y");
    check("a <b title=\"never closed> c", "a c");
}

#[test]
fn entities_are_decoded() {
    check("sant&eacute;&nbsp;publique", "sante publique");
    check("sant&amp;eacute; R&amp;D AT&T; &#233;t&#xE9; stra&szlig;e", "sante R&D AT&T; été straße");
    check("&; &#; &#xD800; & b &no entity;", "&; &#; &#xD800; & b &no entity;");
    check("pollution&rsquo;s", "pollution s");
}

#[test]
fn links_and_addresses_are_invisible() {
    check("see https://www.example.org/migration, and (http://a.b/c)", "see , and ( )");
    check("Contact employment@example.org, www.school.example/prices.html", "Contact ,");
    check("WWW.SCHOOL.EXAMPLE", "");
    check("see data.education.gov.uk/prices, ec.europa.eu.", "see ,");
    check("éducation.gouv.fr est là", "est là");
    check("prices.It includes .org, e.g. n.e.c. or 1.5", "prices.It includes .org, e.g. n.e.c. or 1.5");
    check("DSD@DF 1: // e.g. a.b", "DSD@DF 1: // e.g. a.b");
}

#[test]
fn markers_of_archived_tables_are_invisible() {
    check("Net new security issues, inactive", "Net new security issues,");
    check("Prices (Archived)", "Prices (");
    check("Prix &amp; loyers, inactif", "Prix & loyers,");
    check("Inactive population", "Inactive population");
    check("Persons who are inactive", "Persons who are inactive");
    check("inactive", "inactive");
}

#[test]
fn origins_are_positions_of_the_text_as_written() {
    let seen = visible("<p>sant&eacute; prices</p>");
    let at = seen.text().find("prices").unwrap();
    assert_eq!(seen.origin(u32::try_from(at).unwrap()), 16);
    assert_eq!(visible("prices").origin(3), 3);
}

#[test]
fn the_cost_is_linear() {
    // Quadratic searches would take minutes.
    for text in ["<a ", "<a \"", "&a", "a@", "://", "www.", "<a '>"] {
        assert!(visible(&text.repeat(50_000)).text().len() <= 50_000 * text.len());
    }
}

proptest! {
    #[test]
    fn what_is_left_as_it_is_would_be_rewritten_to_itself(text in "([a-c<>&;@.:/! é]|&lt;|amp;|www|com|, inactive){0,12}") {
        let Visible::Rewritten { text: seen, origins } = rewritten(&text) else { unreachable!() };
        let left = visible(&text);
        prop_assert_eq!(left.text(), &seen);
        for (at, origin) in (0..).zip(origins).take(seen.chars().count()) {
            prop_assert_eq!(left.origin(at), origin);
        }
    }
}
