//! What RuleService and ThemeService have in common: pages of items and of revisions, and the way back from a tenant's
//! change.

use std::collections::BTreeMap;
use std::sync::Arc;

use dataflow_rules::{Item, Set};

use super::{check_etag, invalid_page_token, page_size, page_start};
use crate::Error;
use crate::state::{History, ItemView, Revision, SetView};

/// A page of the items that are wanted, and the token of the next page.
pub(super) fn page<'a, T: Item>(
    items: Vec<ItemView<'a, T>>,
    (size, token): (i32, &str),
    is_wanted: impl Fn(&T) -> bool,
) -> Result<(Vec<ItemView<'a, T>>, String), Error> {
    let (size, start) = (page_size(size)?, page_offset(&items, token)?);
    let wanted = |(_, seen): &(usize, ItemView<'_, T>)| is_wanted(seen.item);
    let mut items = items.into_iter().enumerate().skip(start).filter(wanted);
    let page: Vec<_> = items.by_ref().take(size).collect();
    let last = page.last().filter(|_| items.next().is_some());
    let next_page_token = last.map(|(at, seen)| format!("{at}:{}", seen.item.id())).unwrap_or_default();
    Ok((page.into_iter().map(|(_, seen)| seen).collect(), next_page_token))
}

/// The start of a page: after the last item of the previous page, at its current position, or, if it was removed, at
/// its previous position.
fn page_offset<T: Item>(items: &[ItemView<'_, T>], token: &str) -> Result<usize, Error> {
    if token.is_empty() {
        return Ok(0);
    }
    let parts = token.split_once(':').and_then(|(at, id)| Some((at.parse().ok()?, id)));
    let (at, id) = parts.ok_or_else(invalid_page_token)?;
    Ok(items.iter().position(|seen| seen.item.id() == id).map_or(at, |found| found + 1))
}

/// A page of revisions, newest first, and the token of the next page.
pub(super) fn page_of_revisions<'a>(
    history: Option<&'a History>,
    (size, token): (i32, &str),
) -> Result<(impl Iterator<Item = &'a Revision>, String), Error> {
    let size = page_size(size)?;
    let revisions = history.map_or(&[][..], |history| &history.revisions);
    // A token is the number of the next revision, which stays valid if older ones are forgotten meanwhile.
    let newest = revisions.last().map_or(0, |latest| latest.revision.max(0).unsigned_abs());
    let forgotten = newest.saturating_sub(revisions.len() as u64);
    let end = page_start(token, newest)?.saturating_sub(forgotten);
    let end = usize::try_from(end).unwrap_or(usize::MAX).min(revisions.len());
    let start = end.saturating_sub(size);
    let page = revisions[start..end].iter().rev().map(Arc::as_ref);
    let next_page_token = if start > 0 { (start as u64 + forgotten).to_string() } else { String::new() };
    Ok((page, next_page_token))
}

/// Whether a tenant has changed an item, so that the change can be dropped.
pub(super) fn is_changed<S: Set>(
    seen: &SetView<'_, S>,
    (id, etag): (&str, &str),
    not_found: impl FnOnce() -> Error,
) -> Result<bool, Error> {
    let present = seen.item(id);
    check_etag(etag, &present.as_ref().map(ItemView::etag).unwrap_or_default())?;
    let is_changed = seen.changes().is_some_and(|changes| changes.changes(id));
    if is_changed || present.is_some() { Ok(is_changed) } else { Err(not_found()) }
}

/// What differs between the revisions that a watcher was sent and the present ones; 0 for what is gone.
pub(super) fn changed_revisions<K: Ord + Clone>(
    sent: &BTreeMap<K, i64>,
    present: &BTreeMap<K, i64>,
) -> Vec<(K, i64)> {
    let changed = present.iter().filter(|(key, revision)| sent.get(*key) != Some(revision));
    let dropped = sent.keys().filter(|key| !present.contains_key(*key));
    let changed = changed.map(|(key, revision)| (key.clone(), *revision));
    changed.chain(dropped.map(|key| (key.clone(), 0))).collect()
}

/// The field of an error, for the caller of a single item of this list: without the index of the item.
pub(super) fn field_of_item(list: &str, field: String, prefix: &str) -> String {
    let own = field.strip_prefix(list).and_then(|rest| rest.strip_prefix('[')?.split_once("]."));
    own.map_or(field.clone(), |(_, own)| format!("{prefix}{own}"))
}
