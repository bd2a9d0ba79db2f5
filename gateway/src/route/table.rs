//! Finds the route of a request: a trie whose edges are segments, walked along the raw path. Separate from the
//! templates, because the handling of unusual paths (escapes, dots, empty segments, colons) is only here.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::error::RouteError;
use super::escapes::{decode, decode_unreserved, flaw};
use super::template::{Segment, Template, Variable};

/// The method of a route for all methods that no other route of the path is for.
const ANY: &str = "*";

/// Routes by method and path.
#[derive(Debug)]
pub struct Table<T> {
    root: Node<T>,
}

/// A route, and the variables of the path.
#[derive(Debug, PartialEq, Eq)]
pub struct Found<'t, T> {
    /// The inserted value.
    pub value: &'t T,
    /// With which template.
    pub template: &'t Template,
    /// The path of each field that the template's variables fill, with its value, never empty. Of a single segment all
    /// is decoded; of several, all but the characters that RFC 3986 reserves (`%2F` stays `%2F`).
    pub variables: Vec<(&'t str, String)>,
}

/// Two routes for the same method and paths.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{method} {earlier} and {method} {later} match the same paths")]
pub struct Conflict {
    /// The method of both.
    pub method: String,
    /// The template that stays, as it was written.
    pub earlier: String,
    /// The rejected template, as it was written.
    pub later: String,
}

#[derive(Debug)]
struct Route<T> {
    method: String,
    template: Template,
    value: T,
}

/// The node that the previous segments lead to. Its depth is their number and it has one parent, so a walk visits it at
/// most once.
#[derive(Debug)]
struct Node<T> {
    literals: BTreeMap<String, Node<T>>,
    one: Option<Box<Node<T>>>,
    /// Templates that end here.
    ends: Vec<Route<T>>,
    /// Templates that end in `**` here.
    rests: Vec<Route<T>>,
}

// === impl Table ===

impl<T> Table<T> {
    /// Adds a route. Templates that match some paths in common are no conflict: at the first segment in which they
    /// differ, a literal goes before `*` before `**`.
    pub fn insert(&mut self, method: &str, template: Template, value: T) -> Result<(), Conflict> {
        let mut node = &mut self.root;
        let mut is_open = false;
        for segment in &template.segments {
            match segment {
                Segment::Literal(text) => node = node.literals.entry(text.clone()).or_default(),
                Segment::One => node = node.one.get_or_insert_default(),
                Segment::Rest => is_open = true,
            }
        }
        let routes = if is_open { &mut node.rests } else { &mut node.ends };
        let is_same = |route: &&Route<T>| route.method == method && route.template.verb == template.verb;
        if let Some(earlier) = routes.iter().find(is_same) {
            let (earlier, later) = (earlier.template.to_string(), template.to_string());
            return Err(Conflict { method: method.to_owned(), earlier, later });
        }
        routes.push(Route { method: method.to_owned(), template, value });
        Ok(())
    }

    /// Finds the route of a method for the raw path of a request target, undecoded and without query. `HEAD` falls
    /// back to `GET`.
    ///
    /// A final `:word` is a verb if any template with that verb matches the rest, be it for another method or with an
    /// empty variable; else it belongs to the last segment.
    pub fn find(&self, method: &str, path: &str) -> Result<Found<'_, T>, RouteError> {
        if let Some(what) = flaw(path) {
            return Err(RouteError::PathMalformed { what });
        }
        let path = path.strip_prefix('/').ok_or(RouteError::NotFound)?;
        // A word with a slash is not part of the last segment, but no verb has a slash either.
        if let Some((rest, word)) = path.rsplit_once(':') {
            match self.read(method, rest, Some(&decode(word))) {
                Err(RouteError::NotFound) => {}
                done => return done,
            }
        }
        self.read(method, path, None)
    }

    /// Finds a route by one reading of the path.
    fn read(&self, method: &str, path: &str, verb: Option<&str>) -> Result<Found<'_, T>, RouteError> {
        let mut search =
            Search { method, path, verb, by_get: None, by_any: None, refusal: None, allowed: Vec::new() };
        let own = search.walk(&self.root, Some(path), true).break_value();
        if let Some(route) = own.or(search.by_get).or(search.by_any) {
            return Ok(route.found(path));
        }
        let Search { refusal, mut allowed, .. } = search;
        if allowed.contains(&"GET") {
            allowed.push("HEAD");
        }
        allowed.sort_unstable();
        allowed.dedup();
        let otherwise = match allowed.is_empty() {
            true => RouteError::NotFound,
            false => {
                RouteError::MethodNotAllowed { allowed: allowed.into_iter().map(str::to_owned).collect() }
            }
        };
        Err(refusal.unwrap_or(otherwise))
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { root: Node::default() }
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { literals: BTreeMap::new(), one: None, ends: Vec::new(), rests: Vec::new() }
    }
}

// === impl Search ===

/// The target of one walk and the first findings of each kind.
struct Search<'t, 'p, T> {
    method: &'p str,
    path: &'p str,
    verb: Option<&'p str>,
    by_get: Option<&'t Route<T>>,
    by_any: Option<&'t Route<T>>,
    refusal: Option<RouteError>,
    allowed: Vec<&'t str>,
}

impl<'t, T> Search<'t, '_, T> {
    /// Continues from a node with the remaining segments, `None` for none. Wildcards match invalid segments too, in
    /// order to report the error: `fit` is whether there was none so far.
    fn walk(&mut self, node: &'t Node<T>, left: Option<&str>, fit: bool) -> ControlFlow<&'t Route<T>> {
        let Some(left) = left else {
            node.ends.iter().try_for_each(|route| self.meet(route, fit))?;
            // `**` may match no segment here, but a variable of only `**` must not be empty.
            return node.rests.iter().try_for_each(|route| {
                let is_void = route.refusal(self.path).is_some();
                self.meet(route, fit && !is_void)
            });
        };
        let (raw, next) = left.split_once('/').map_or((left, None), |(raw, next)| (raw, Some(next)));
        let segment = decode(raw);
        if let Some(node) = node.literals.get(&*segment) {
            self.walk(node, next, fit)?;
        }
        if let Some(node) = &node.one {
            self.walk(node, next, fit && is_fit(&segment))?;
        }
        if node.rests.is_empty() {
            return ControlFlow::Continue(());
        }
        let fit = fit && left.split('/').all(|raw| is_fit(&decode(raw)));
        node.rests.iter().try_for_each(|route| self.meet(route, fit))
    }

    /// Judges a route whose segments match.
    fn meet(&mut self, route: &'t Route<T>, fit: bool) -> ControlFlow<&'t Route<T>> {
        let is_own = route.method == self.method;
        let is_head = self.method == "HEAD" && route.method == "GET";
        if route.template.verb.as_deref() != self.verb {
            return ControlFlow::Continue(());
        }
        match (fit, is_own, is_head) {
            (true, true, _) => return ControlFlow::Break(route),
            (true, _, true) => _ = self.by_get.get_or_insert(route),
            (true, ..) if route.method == ANY => _ = self.by_any.get_or_insert(route),
            (true, ..) => self.allowed.push(&route.method),
            (false, false, false) => {}
            (false, ..) => self.refusal = self.refusal.take().or_else(|| route.refusal(self.path)),
        }
        ControlFlow::Continue(())
    }
}

/// Whether a wildcard may match a segment. Upstreams could interpret `.` and `..` as directories.
fn is_fit(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..")
}

// === impl Route ===

impl<T> Route<T> {
    fn found(&self, path: &str) -> Found<'_, T> {
        let value = |variable: &Variable| match variable.slice(path) {
            raw if variable.is_single() => decode(raw).into_owned(),
            raw => decode_unreserved(raw),
        };
        let variables = self.template.variables().iter();
        let variables = variables.map(|variable| (variable.field_path(), value(variable))).collect();
        Found { value: &self.value, template: &self.template, variables }
    }

    /// The error of the first variable with an invalid value. A variable of several segments with empty ones is not an
    /// error: such a path does not match.
    fn refusal(&self, path: &str) -> Option<RouteError> {
        self.template.variables().iter().find_map(|variable| {
            let raw = variable.slice(path);
            if raw.split('/').all(str::is_empty) {
                return Some(RouteError::VariableEmpty { field: variable.field_path().to_owned() });
            }
            let has_dots = raw.split('/').any(|raw| matches!(&*decode(raw), "." | ".."));
            has_dots.then_some(RouteError::PathMalformed { what: "a `.` or `..` segment" })
        })
    }
}

#[cfg(test)]
mod tests;
