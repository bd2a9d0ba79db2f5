//! The public face of the mesh: REST by transcoding from the descriptor set, gRPC pass-through, health and reflection
//! of the whole. Not built yet; until then the services are called over gRPC directly.
