//! SDMX-JSON of documents in SDMX-ML, so that tests compare the two readers on real content.

use std::fmt::Write;

use roxmltree::{Document, Node};
use serde_json::Value;

/// The dataflows, category schemes and categorisations of a structure message in SDMX-ML 2.1 or 3, as SDMX-JSON 2.0.
///
/// # Panics
///
/// If the document is not well-formed.
#[must_use]
pub fn of_xml(document: &str) -> String {
    let document = Document::parse(document).expect("the document is XML");
    let all = |list: &str, name: &str, write: fn(Node<'_, '_>) -> String| {
        let lists = document.descendants().filter(|node| is(*node, list));
        let elements = lists.flat_map(|list| children(list, name));
        format!("[{}]", elements.map(write).collect::<Vec<_>>().join(",\n"))
    };
    let prepared = document.descendants().find(|node| is(*node, "Prepared")).map(text);
    format!(
        "{{\"meta\": {{\"prepared\": {}}}, \"data\": {{\"dataflows\": {},\n\"categorySchemes\": {},\n\
         \"categorisations\": {}}}}}",
        Value::from(prepared.unwrap_or_default()),
        all("Dataflows", "Dataflow", dataflow),
        all("CategorySchemes", "CategoryScheme", category),
        all("Categorisations", "Categorisation", categorisation),
    )
}

fn dataflow(node: Node<'_, '_>) -> String {
    let mut object = Object::of(node);
    object.texts("names", node, "Name");
    object.texts("descriptions", node, "Description");
    if let Some(structure) = children(node, "Structure").next() {
        object.value("structure", urn(structure, "DataStructure"));
    }
    let annotations = children(node, "Annotations").flat_map(|list| children(list, "Annotation"));
    object.array("annotations", annotations.map(annotation));
    object.end()
}

fn annotation(node: Node<'_, '_>) -> String {
    let mut object = Object::of(node);
    for (name, element) in
        [("title", "AnnotationTitle"), ("type", "AnnotationType"), ("value", "AnnotationValue")]
    {
        if let Some(element) = children(node, element).next() {
            object.value(name, text(element));
        }
    }
    object.texts("texts", node, "AnnotationText");
    let links =
        children(node, "AnnotationURL").map(|url| format!("{{\"href\": {}}}", Value::from(text(url))));
    object.array("links", links);
    object.end()
}

/// A category, or a scheme of categories.
fn category(node: Node<'_, '_>) -> String {
    let mut object = Object::of(node);
    object.texts("names", node, "Name");
    object.array("categories", children(node, "Category").map(category));
    object.end()
}

fn categorisation(node: Node<'_, '_>) -> String {
    let mut object = Object::of(node);
    for (name, element, class) in [("source", "Source", "Dataflow"), ("target", "Target", "Category")] {
        if let Some(end) = children(node, element).next() {
            object.value(name, urn(end, class));
        }
    }
    object.end()
}

/// The URN of a reference, which is written as a URN or as a `Ref`.
fn urn(node: Node<'_, '_>, class: &str) -> String {
    let Some(reference) = children(node, "Ref").next() else {
        return text(children(node, "URN").next().unwrap_or(node)).trim().to_owned();
    };
    let part = |name: &str| reference.attribute(name).unwrap_or_default();
    let class = reference.attribute("class").unwrap_or(class);
    let agency = part("agencyID");
    match class {
        "Category" => {
            let (scheme, version) = (part("maintainableParentID"), part("maintainableParentVersion"));
            format!("urn:sdmx:org.sdmx.infomodel.x.{class}={agency}:{scheme}({version}).{}", part("id"))
        }
        _ => format!("urn:sdmx:org.sdmx.infomodel.x.{class}={agency}:{}({})", part("id"), part("version")),
    }
}

fn is(node: Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name
}

fn children<'a, 'input>(node: Node<'a, 'input>, name: &str) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children().filter(move |child| is(*child, name))
}

fn text(node: Node<'_, '_>) -> String {
    node.descendants().filter_map(|node| node.text().filter(|_| node.is_text())).collect()
}

/// An object that is being written. Members are in the order of the document, which no map of `serde_json` keeps.
struct Object(String);

impl Object {
    /// With the attributes of an element.
    fn of(node: Node<'_, '_>) -> Self {
        let mut object = Self(String::new());
        for attribute in node.attributes().filter(|attribute| attribute.namespace().is_none()) {
            match (attribute.name(), attribute.value()) {
                (name @ ("isFinal" | "isExternalReference"), value @ ("true" | "false")) => {
                    object.member(name, value);
                }
                (name, value) => object.value(name, value.to_owned()),
            }
        }
        object
    }

    fn member(&mut self, name: &str, written: &str) {
        let comma = if self.0.is_empty() { "" } else { ", " };
        write!(self.0, "{comma}{}: {written}", Value::from(name)).expect("a string can be written");
    }

    fn value(&mut self, name: &str, value: String) {
        self.member(name, &Value::from(value).to_string());
    }

    fn array(&mut self, name: &str, elements: impl Iterator<Item = String>) {
        self.member(name, &format!("[{}]", elements.collect::<Vec<_>>().join(", ")));
    }

    fn texts(&mut self, name: &str, node: Node<'_, '_>, element: &str) {
        let mut texts = Self(String::new());
        for element in children(node, element) {
            let language = element.attribute(("http://www.w3.org/XML/1998/namespace", "lang"));
            texts.value(language.unwrap_or_default(), text(element));
        }
        self.member(name, &texts.end());
    }

    fn end(self) -> String {
        format!("{{{}}}", self.0)
    }
}
