//! The contract of the cache on the wire, over the embedded store and over a Redis that two replicas share, while that
//! Redis is healthy, hangs, or is down. [`caller`] is the client, [`replicas`] starts the services, and [`wire`] is a
//! proxy that drops invalidation messages.

mod caller;
mod replicas;
mod wire;

mod analyses;
mod answers;
mod breakers;
mod l1;
mod leases;
mod load;
mod outage;
mod permits;
mod processes;
mod refusals;
mod silence;
mod status;
mod tags;
mod tenants;
