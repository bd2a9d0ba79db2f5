//! Fuzz target: request bodies, in pieces of any size.

use super::tests::types;
use super::*;

#[test]
fn any_body_is_counted_the_same_however_it_arrives() {
    let types = types();
    let name = ".grpc.reflection.v1.ServerReflectionResponse";
    bolero::check!().with_type::<Vec<Vec<u8>>>().for_each(|pieces| {
        let whole = pieces.concat();
        let limit = 64 * MESSAGE;
        let (mut one, mut many) = (types.counter(name, limit).unwrap(), types.counter(name, limit).unwrap());
        let read = one.read(&whole);
        let in_pieces = pieces.iter().try_for_each(|piece| many.read(piece));
        assert_eq!((read, one.cost()), (in_pieces, many.cost()));
        assert!(read.is_err() || one.cost() <= limit);
    });
}
