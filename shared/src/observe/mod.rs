//! Reads of the world that more than one function makes, into the types of `observation`.

mod sampler;

pub use sampler::Sampler;
