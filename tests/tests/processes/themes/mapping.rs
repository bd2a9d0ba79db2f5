//! ThemeService: the mapping is changed, its changes are audited, and every replica uses them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dataflow_proto::analysis::v1::analysis::Degradation;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::audit_service_client::AuditServiceClient;
use dataflow_proto::config::v1::revision::Kind;
use dataflow_proto::r#type::v1::Category;
use dataflow_rules::Item;
use dataflow_rules::themes::Mapping;
use dataflow_store::embedded::Embedded;
use dataflow_tests::editor::{reason, small, theme_editor};
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::in_repository;
use dataflow_tests::services::{self, Service};
use prost_types::FieldMask;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use super::{analyze, messages, read};

const HEALTH: &str = "istat-health";

fn theme(id: &str, path: &[&str], category: Category) -> pb::Theme {
    pb::Theme {
        theme_id: id.to_owned(),
        scheme: "IT1:*".to_owned(),
        path: path.iter().map(|part| (*part).to_owned()).collect(),
        category: category.into(),
        ..pb::Theme::default()
    }
}

fn creation(theme: pb::Theme) -> pb::CreateThemeRequest {
    let pb::Theme { theme_id, scheme, path, category, .. } = theme;
    pb::CreateThemeRequest { theme_id, scheme, path, category, ..Default::default() }
}

fn update(theme: pb::Theme, paths: &[&str]) -> pb::UpdateThemeRequest {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    let update_mask = Some(FieldMask { paths });
    pb::UpdateThemeRequest { theme: Some(theme), update_mask, ..pb::UpdateThemeRequest::default() }
}

/// What ISTAT's theme of health means from now on.
fn means(category: Category) -> pb::UpdateThemeRequest {
    update(theme(HEALTH, &[], category), &["category"])
}

/// A request of a tenant.
fn of_acme<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("dataflow-tenant", "acme".parse().unwrap());
    request
}

/// The name of the field that a refusal is about.
fn field(status: &Status) -> String {
    assert_eq!((status.code(), reason(status).as_str()), (Code::InvalidArgument, "THEME_INVALID"));
    status.get_error_details().bad_request().unwrap().field_violations[0].field.clone()
}

async fn get(config: &Service, id: &str) -> Result<pb::Theme, Status> {
    let reply = theme_editor(config).get_theme(pb::GetThemeRequest { theme: id.to_owned() }).await?;
    Ok(reply.into_inner().theme.unwrap())
}

#[tokio::test]
async fn themes_are_created_changed_and_removed() {
    let config = services::config([]).await;
    let mut themes = theme_editor(&config);
    let made = themes.create_theme(creation(theme("new", &["A", "B"], Category::Labour))).await.unwrap();
    let made = made.into_inner().theme.unwrap();
    assert_eq!(
        (made.path.join("/"), made.scheme.as_str(), made.category()),
        ("A/B".into(), "IT1:*", Category::Labour)
    );
    let again = themes.create_theme(creation(theme("new", &["C"], Category::Labour))).await.unwrap_err();
    assert_eq!((again.code(), reason(&again).as_str()), (Code::AlreadyExists, "THEME_EXISTS"));

    let changed = update(pb::Theme { scheme: "IT1:S".to_owned(), ..made.clone() }, &["scheme"]);
    let changed = themes.update_theme(changed).await.unwrap().into_inner().theme.unwrap();
    assert_eq!((changed.scheme.as_str(), &changed.path), ("IT1:S", &made.path));
    assert_eq!(changed.create_time, made.create_time);
    let same = themes.update_theme(update(changed.clone(), &["scheme", "path"])).await.unwrap();
    assert_eq!(same.into_inner().theme.unwrap(), changed, "no change makes no revision");
    let late = themes.update_theme(update(made.clone(), &["path"])).await.unwrap_err();
    assert_eq!((late.code(), reason(&late).as_str()), (Code::Aborted, "ETAG_MISMATCH"));
    assert_eq!(late.get_error_details().error_info().unwrap().metadata["etag"], changed.etag);
    assert_eq!(get(&config, "new").await.unwrap(), changed);

    let delete = |etag: &str| pb::DeleteThemeRequest {
        theme: "new".to_owned(),
        etag: etag.to_owned(),
        ..Default::default()
    };
    assert_eq!(reason(&themes.delete_theme(delete(&made.etag)).await.unwrap_err()), "ETAG_MISMATCH");
    assert_eq!(themes.delete_theme(delete(&changed.etag)).await.unwrap().into_inner().revision, 4);
    let gone = themes.delete_theme(delete("")).await.unwrap_err();
    assert_eq!((gone.code(), reason(&gone).as_str()), (Code::NotFound, "THEME_NOT_FOUND"));
    assert_eq!(gone.get_error_details().error_info().unwrap().metadata["theme"], "new");
}

#[tokio::test]
async fn an_invalid_theme_is_refused_with_its_field() {
    let config = services::config([]).await;
    let check = async |given: pb::Theme, expected: &str| {
        let created = theme_editor(&config).create_theme(creation(given.clone())).await.unwrap_err();
        assert_eq!(field(&created), expected);
        let given = pb::Theme { theme_id: HEALTH.to_owned(), ..given };
        let updated = theme_editor(&config).update_theme(update(given, &[])).await.unwrap_err();
        assert_eq!(field(&updated), format!("theme.{expected}"));
    };
    let valid = || theme("new", &["A"], Category::Labour);
    check(pb::Theme { scheme: "IT1".to_owned(), ..valid() }, "scheme").await;
    check(pb::Theme { scheme: String::new(), ..valid() }, "scheme").await;
    check(pb::Theme { category: 0, ..valid() }, "category").await;
    check(pb::Theme { category: 99, ..valid() }, "category").await;
    check(pb::Theme { path: Vec::new(), ..valid() }, "path").await;
    check(theme("new", &["A", ""], Category::Labour), "path[1]").await;
    check(theme("new", &["Prezzi"], Category::Labour), "path").await;
    let listed = theme_editor(&config).list_themes(pb::ListThemesRequest::default()).await.unwrap();
    assert_eq!(listed.into_inner().revision, 0, "what is refused stores nothing");
    for id in ["", "revisions"] {
        let refused = theme_editor(&config).create_theme(creation(theme(id, &["A"], Category::Labour))).await;
        assert_eq!(field(&refused.unwrap_err()), "themeId");
    }
    let missing = theme_editor(&config).update_theme(pb::UpdateThemeRequest::default()).await.unwrap_err();
    assert_eq!(reason(&missing), "FIELD_INVALID");
    let unknown = theme_editor(&config).update_theme(update(valid(), &["colour"])).await.unwrap_err();
    assert_eq!(reason(&unknown), "FIELD_INVALID");
    let two = vec![valid(), theme("new", &["B"], Category::Health)];
    let replace = pb::ReplaceThemesRequest { themes: two, ..Default::default() };
    let refused = theme_editor(&config).replace_themes(replace).await.unwrap_err();
    assert_eq!(field(&refused), "themes[1].themeId");
}

#[tokio::test]
async fn pages_list_every_theme_once() {
    let config = services::config([]).await;
    let all = theme_editor(&config).export_themes(pb::ExportThemesRequest {}).await.unwrap();
    let all = all.into_inner().mapping.unwrap().themes;
    let (mut listed, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = pb::ListThemesRequest { page_size: 7, page_token, ..Default::default() };
        let page = theme_editor(&config).list_themes(request).await.unwrap().into_inner();
        assert!(page.themes.len() <= 7);
        listed.extend(page.themes);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert!(listed == all && all.len() > 14, "{}", all.len());
    let health = pb::ListThemesRequest { category: Category::Health.into(), ..Default::default() };
    let health = theme_editor(&config).list_themes(health).await.unwrap().into_inner().themes;
    assert_eq!(health.iter().map(|theme| theme.theme_id.as_str()).collect::<Vec<_>>(), [HEALTH]);
    let negative = pb::ListThemesRequest { page_size: -1, ..Default::default() };
    assert_eq!(reason(&theme_editor(&config).list_themes(negative).await.unwrap_err()), "FIELD_INVALID");
}

#[tokio::test]
async fn a_rollback_restores_the_mapping_and_is_audited() {
    let config = services::config([]).await;
    let mut themes = theme_editor(&config);
    let none = themes.list_theme_revisions(pb::ListThemeRevisionsRequest::default()).await.unwrap();
    assert_eq!(none.into_inner().revisions, [], "nothing was changed");
    let mut request =
        Request::new(pb::UpdateThemeRequest { reason: "on request".to_owned(), ..means(Category::Labour) });
    request.metadata_mut().insert("dataflow-subject", "ada".parse().unwrap());
    request.metadata_mut().insert("x-request-id", "r-1".parse().unwrap());
    themes.update_theme(request).await.unwrap();
    let replace = pb::ReplaceThemesRequest {
        themes: vec![theme("only", &["A"], Category::Other)],
        ..Default::default()
    };
    let replaced = themes.replace_themes(replace.clone()).await.unwrap().into_inner().mapping.unwrap();
    assert_eq!((replaced.revision, replaced.themes.len()), (3, 1));
    let again = themes.replace_themes(replace).await.unwrap().into_inner().mapping.unwrap();
    assert_eq!(again, replaced, "the same themes make no revision");

    let stale = pb::RollbackThemesRequest { revision: 1, etag: "2-0".to_owned(), ..Default::default() };
    assert_eq!(reason(&themes.rollback_themes(stale).await.unwrap_err()), "ETAG_MISMATCH");
    let back = |revision| pb::RollbackThemesRequest {
        revision,
        etag: if revision == 1 { replaced.etag.clone() } else { String::new() },
        ..Default::default()
    };
    let mapping = themes.rollback_themes(back(1)).await.unwrap().into_inner().mapping.unwrap();
    assert_eq!((mapping.revision, mapping.themes.len() > 14), (4, true));
    assert_eq!(get(&config, HEALTH).await.unwrap().category(), Category::Health);
    for revision in [0, 9] {
        let missing = themes.rollback_themes(back(revision)).await.unwrap_err();
        assert_eq!((missing.code(), reason(&missing).as_str()), (Code::NotFound, "REVISION_NOT_FOUND"));
    }

    let list = pb::ListThemeRevisionsRequest { page_size: 3, ..Default::default() };
    let page = themes.list_theme_revisions(list.clone()).await.unwrap().into_inner();
    assert_eq!(page.revisions.iter().map(|made| made.revision).collect::<Vec<_>>(), [4, 3, 2]);
    let made = &page.revisions[2];
    assert_eq!(
        (made.author.as_str(), made.reason.as_str(), made.request_id.as_str()),
        ("ada", "on request", "r-1")
    );
    let [difference] = &made.differences[..] else { panic!("{made:?}") };
    assert_eq!((difference.theme_id.as_str(), difference.kind()), (HEALTH, Kind::Changed));
    assert_eq!(difference.fields, ["category"]);
    let rest = pb::ListThemeRevisionsRequest { page_token: page.next_page_token, ..list };
    let rest = themes.list_theme_revisions(rest).await.unwrap().into_inner();
    assert_eq!((rest.revisions.len(), rest.revisions[0].author.as_str()), (1, "system"));

    let records = pb::ListAuditRecordsRequest { page_size: 1000, ..Default::default() };
    let records = AuditServiceClient::new(config.channel()).list_audit_records(records).await.unwrap();
    let records = records.into_inner().records;
    let of_themes = records.iter().filter(|record| record.resource.starts_with("themes"));
    let shown = of_themes
        .map(|record| (record.action.as_str(), record.resource.as_str(), record.before, record.after));
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            ("THEMES_SEEDED", "themes", 0, 1),
            ("THEME_PUT", "themes/istat-health", 1, 2),
            ("THEMES_REPLACED", "themes", 2, 3),
            ("THEMES_ROLLED_BACK", "themes", 3, 4),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_used_by_every_replica_and_is_part_of_the_key_of_results() {
    let store = Arc::new(Embedded::new(1 << 20));
    let cache = services::cache().await;
    let cache_url = cache.upstream.to_string();
    let mut replicas = Vec::new();
    for _ in 0..3 {
        let config = services::config_over(Arc::clone(&store) as _, small()).await;
        let url = config.upstream.to_string();
        let analysis = services::analysis(&["--config-url", &url, "--cache-url", &cache_url]).await;
        replicas.push((config, analysis));
    }
    let document = read(in_repository("tests/data/themed.xml"));
    let analyzed = async |index: usize| analyze(&replicas[index].1, &[&document]).await.unwrap();
    let first = analyzed(0).await;
    assert_eq!((first.dataflows[0].category(), first.themes_revision), (Category::Health, 0));
    let again = analyzed(1).await;
    assert!(again.cached && again.analysis == first.analysis, "the replicas have the same mapping");

    // A busy machine may delay it, but not every time.
    let mut times = Vec::new();
    let mut names = vec![first.analysis];
    while times.last().is_none_or(|took| *took >= Duration::from_secs(1)) {
        assert!(times.len() < 5, "{times:?}");
        let category = if times.len() % 2 == 0 { Category::Labour } else { Category::Economy };
        let begun = Instant::now();
        theme_editor(&replicas[times.len() % 3].0).update_theme(means(category)).await.unwrap();
        for (_, analysis) in &replicas {
            eventually(TIMEOUT, "the change is in use", async || {
                analyze(analysis, &[&document]).await.unwrap().dataflows[0].category() == category
            })
            .await;
        }
        times.push(begun.elapsed());
        let found = analyzed(2).await;
        assert_eq!(found.themes_revision, 1 + i64::try_from(times.len()).unwrap());
        assert!(!names.contains(&found.analysis), "another mapping, another result");
        names.push(found.analysis);
    }
    println!("a change of themes was in use on three replicas after {times:?}");
    let metrics = replicas[2].1.metrics.encode();
    assert!(metrics.contains(&format!("themes_revision {}\n", 1 + times.len())), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_config_the_last_mapping_stays_in_use() {
    let config = services::config([]).await;
    let analysis = services::analysis(&["--config-url", &config.upstream.to_string()]).await;
    let document = read(in_repository("tests/data/themed.xml"));
    theme_editor(&config).update_theme(means(Category::Labour)).await.unwrap();
    eventually(TIMEOUT, "the change is in use", async || {
        analyze(&analysis, &[&document]).await.unwrap().dataflows[0].category() == Category::Labour
    })
    .await;
    config.stop().await;
    let found = analyze(&analysis, &[&document]).await.unwrap();
    assert_eq!((found.dataflows[0].category(), found.themes_revision), (Category::Labour, 2));
    let built_in = i32::from(Degradation::BuiltInThemes);
    assert!(!found.degraded.contains(&built_in), "{:?}", found.degraded);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_of_a_tenants_mapping_is_limited_on_both_sides() {
    let config = services::config([]).await;
    theme_editor(&config).update_theme(of_acme(means(Category::Labour))).await.unwrap();
    let mapping = Mapping::built_in();
    // The estimate of the compiled mapping. That of the tenant has the same texts.
    let weight = 4 * mapping.themes.iter().map(Item::bytes).sum::<usize>();
    let document = read(in_repository("tests/data/themed.xml"));
    for (memory, category, is_degraded) in
        [(2 * weight, Category::Labour, false), (2 * weight - 1, Category::Health, true)]
    {
        let (url, memory) = (config.upstream.to_string(), memory.to_string());
        let analysis = services::analysis(&["--config-url", &url, "--tenant-themes-memory", &memory]).await;
        let mut client = AnalysisServiceClient::new(analysis.channel());
        let request = of_acme(tokio_stream::iter(messages(&[&document], 64 * 1024)));
        let found = client.analyze_catalogue(request).await.unwrap().into_inner().analysis.unwrap();
        let shared = i32::from(Degradation::SharedThemes);
        assert_eq!(
            (found.dataflows[0].category(), found.degraded.contains(&shared)),
            (category, is_degraded),
            "{memory} bytes"
        );
    }
}
