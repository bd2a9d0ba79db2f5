//! What the cache promises on the wire: over a store of its own and over a Redis that two replicas share, while that
//! Redis answers, is silent, and is gone. [`caller`] calls, [`place`] says where, [`wire`] loses signals on the way.

mod caller;
mod place;
mod wire;

mod analyses;
mod answers;
mod first_level;
mod leases;
mod load;
mod outage;
mod processes;
mod refusals;
mod silence;
mod tags;
mod tenants;
