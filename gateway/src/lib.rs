//! The public face of the mesh: REST by transcoding from the descriptor set, gRPC pass-through, health and reflection
//! of the whole. Of these only a part of the predecessor's surface stands yet ([`legacy`]); until the rest does, the
//! services are called over gRPC directly.

pub mod legacy;
