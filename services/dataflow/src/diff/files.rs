//! The difference of two files, in this process.

use std::path::Path;

use anyhow::Context;
use dataflow_catalogue::catalogues::now;
use dataflow_catalogue::diff::{self, Side};
use dataflow_catalogue::reading::{self, ReadCatalogue};
use dataflow_catalogue::stored::packed::{self, Packed};
use dataflow_catalogue::{Error, convert};
use dataflow_proto::catalogue::v1 as pb;
use dataflow_rules::themes::{CompiledMapping, Mapping};
use dataflow_rules::{Category, Compiled, built_in};
use dataflow_sdmx::Limits;
use dataflow_uploads::Error as UploadError;
use dataflow_uploads::budget::{Budget, Canceled};
use dataflow_uploads::document::Single;

use crate::categories::categories;
use crate::exit::{Exit, Failure};

/// Compares two files, and tells whether a part of one could not be read.
pub(crate) fn compare(base: &Path, head: &Path) -> Result<(pb::Diff, bool), Failure> {
    let [base, head] = [read(base)?, read(head)?];
    let incomplete = base.1 || head.1;
    let rules = Compiled::new(&built_in::rulesets()[0]).context("the built-in rules compile")?;
    let mapping = CompiledMapping::new(&Mapping::built_in());
    let of = |content: &Packed| -> Option<Vec<Category>> {
        categories(content, &rules, &mapping, &mut Budget::unlimited())
    };
    let (of_base, of_head) = (of(&base.0), of(&head.0));
    let base = Side { content: &base.0, categories: of_base.as_deref() };
    let head = Side { content: &head.0, categories: of_head.as_deref() };
    let diff = diff::compare(base, head, now()).context("what was read is compared")?;
    Ok((convert::diff(diff), incomplete))
}

/// The content of a file, and whether a part of it could not be read.
fn read(path: &Path) -> Result<(Packed, bool), Failure> {
    let name = path.display();
    let opened = std::fs::File::open(path).with_context(|| {
        format!("cannot open {name}; to compare two snapshots of a mesh, name their provider with --provider")
    })?;
    let mut budget = Budget::new(usize::MAX, Canceled::default());
    let read = reading::read(&mut Single(opened), &Limits::default(), &mut budget);
    let ReadCatalogue { packed, warnings, .. } = read.map_err(|error| {
        let exit = match &error {
            Error::Upload(UploadError::Document(_)) => Exit::NotSdmx,
            _ => Exit::Failed,
        };
        Failure::new(exit, anyhow::Error::new(error).context(name.to_string()))
    })?;
    let content =
        packed::decompress(&packed.chunks, packed.content_bytes).context("what was packed is read")?;
    Ok((Packed::read(content).context("what was packed is read")?, warnings > 0))
}
