//! Who sees what: callers from outside the namespace `user` of their tenant, services of the mesh `results` besides.

use dataflow_proto::cache::v1 as pb;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use tonic::Code;

use super::caller::{Caller, Refusal, entry, lease, owned, set};
use super::place::{Place, everywhere};

#[tokio::test(flavor = "multi_thread")]
async fn tenants_have_nothing_in_common() {
    everywhere(&[], async |place: &Place| {
        // Two of these would be the same if names were merely put together.
        let tenants = ["", "acme", "acme:user/a", "acme_3auser_2fa", "acme:user", "ACME", "a b"];
        let callers = tenants.map(|tenant| Caller::tenant(&place.a.service, tenant));
        for (tenant, caller) in tenants.iter().zip(&callers) {
            for key in ["user/a", "user/a:user/a", "user/user/a"] {
                assert_eq!(caller.get(key).await, None, "{tenant:?} {key}");
                caller.put(key, tenant, &["t"]).await;
            }
        }
        for (tenant, caller) in tenants.iter().zip(&callers) {
            assert_eq!(caller.get("user/a").await.as_deref(), Some(*tenant));
        }
        let [_, acme, other, ..] = &callers;
        // Another's entry is not there, and cannot be taken away.
        acme.put("user/mine", "v", &["t"]).await;
        assert_eq!(other.get("user/mine").await, None);
        assert!(!other.delete("user/mine").await);
        let generations = async |caller: &Caller| {
            let request = pb::GetGenerationsRequest { tags: owned(&["t"]), ..Default::default() };
            caller.get_generations(request).await.unwrap().generations
        };
        let before = generations(acme).await;
        other.invalidate(&["t"]).await;
        assert_eq!(other.get("user/a").await, None);
        assert_eq!(generations(acme).await, before);
        assert_ne!(generations(other).await, before);
        let request = pb::DeletePrefixRequest { prefix: "user/".to_owned() };
        assert_eq!(other.delete_prefix(request).await.unwrap().deleted, 3);
        assert_eq!(acme.get("user/mine").await.as_deref(), Some("v"));
        // Nor does one wait for another's lease.
        let lease = acme.take("user/l", &[]).await;
        other.take("user/l", &[]).await;
        let request = pb::ReleaseLeaseRequest { key: "user/l".to_owned(), token: lease.token };
        assert!(!other.release_lease(request.clone()).await.unwrap().released);
        assert!(acme.release_lease(request).await.unwrap().released);
        // A tenant is the same at every replica, whoever acts for it.
        for caller in [Caller::tenant(&place.b.service, "acme"), Caller::inside(&place.b.service, "acme")] {
            assert_eq!(caller.get("user/mine").await.as_deref(), Some("v"));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_for_the_mesh_alone() {
    everywhere(&[], async |place: &Place| {
        let inside = Caller::inside(&place.a.service, "acme");
        inside.put("results/v1/x", "result", &["t"]).await;
        inside.put("user/v1/x", "user", &["t"]).await;
        assert_eq!(inside.get("results/v1/x").await.as_deref(), Some("result"));

        let outside = Caller::tenant(&place.b.service, "acme");
        assert_eq!(outside.get("user/v1/x").await.as_deref(), Some("user"));
        let key = || "results/v1/x".to_owned();
        let namespace = || "results".to_owned();
        let refused = [
            (outside.get_entry(pb::GetEntryRequest { key: key() }).await.err(), "key"),
            (outside.entry_exists(pb::EntryExistsRequest { key: key() }).await.err(), "key"),
            (outside.get_entry_ttl(pb::GetEntryTtlRequest { key: key() }).await.err(), "key"),
            (
                outside.batch_get_entries(pb::BatchGetEntriesRequest { keys: vec![key()] }).await.err(),
                "keys[0]",
            ),
            (outside.lease_entry(lease("results/v1/x", &[])).await.err(), "key"),
            (outside.set_entry(set(entry("results/v1/x", "forged", &[]))).await.err(), "entry.key"),
            (
                outside.delete_entry(pb::DeleteEntryRequest { key: key(), ..Default::default() }).await.err(),
                "key",
            ),
            (
                outside.delete_prefix(pb::DeletePrefixRequest { prefix: "results/".to_owned() }).await.err(),
                "prefix",
            ),
            (
                outside
                    .get_generations(pb::GetGenerationsRequest {
                        namespace: namespace(),
                        ..Default::default()
                    })
                    .await
                    .err(),
                "namespace",
            ),
            (
                outside
                    .invalidate_tags(pb::InvalidateTagsRequest {
                        namespace: namespace(),
                        tags: owned(&["t"]),
                    })
                    .await
                    .err(),
                "namespace",
            ),
        ];
        for (refusal, field) in refused {
            let Refusal { code, reason, field: named, .. } = refusal.expect(field);
            assert_eq!(
                (code, reason.as_str(), named.as_str()),
                (Code::InvalidArgument, "KEY_INVALID", field)
            );
        }

        // Tags of one name in two namespaces are two.
        outside.invalidate(&["t"]).await;
        eventually(TIMEOUT, "the mesh's own replica knows", async || inside.get("user/v1/x").await.is_none())
            .await;
        assert_eq!(inside.get("results/v1/x").await.as_deref(), Some("result"));
        let request = pb::InvalidateTagsRequest { namespace: namespace(), tags: owned(&["t"]) };
        inside.invalidate_tags(request).await.unwrap();
        assert_eq!(inside.get("results/v1/x").await, None);
        for unknown in ["rules", "Results", "results/", "user/x"] {
            let request = pb::GetGenerationsRequest { namespace: unknown.to_owned(), ..Default::default() };
            let refusal = inside.get_generations(request).await.unwrap_err();
            assert_eq!((refusal.reason.as_str(), refusal.field.as_str()), ("KEY_INVALID", "namespace"));
        }
    })
    .await;
}
