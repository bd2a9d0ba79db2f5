//! A large reply, element by element: the members of its lists are decoded and written one at a time as their bytes
//! arrive, so that memory holds one of them and not the reply.
//!
//! Encoders write fields in the order of their numbers, and every encoder in use writes the elements of a list
//! consecutively. A reply in another order would need a buffer; its response is aborted together with the connection.

use std::collections::HashSet;
use std::io;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, stream};
use prost::encoding::{WireType, decode_varint, encode_key, encode_varint};
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor};

use crate::frame::Frames;
use crate::json::{members, write};

/// JSON is sent in chunks of about this size.
const PIECE: usize = 16 * 1024;

/// The JSON of `message`, which is the whole of a reply of `length` bytes, or its field with this number.
pub(super) fn stream(
    frames: Frames,
    length: usize,
    field: Option<u32>,
    message: MessageDescriptor,
) -> impl Stream<Item = Result<Bytes, io::Error>> + Send + 'static {
    let source = Source { frames, unread: length, left: length, buffer: BytesMut::new() };
    let state = Some((source, Writer::new(message), field));
    stream::try_unfold(state, |state| async move {
        let Some((mut source, mut writer, field)) = state else { return Ok(None) };
        if let Some(number) = field {
            source.enter(number).await?;
        }
        while writer.out.len() < PIECE {
            match source.next().await? {
                Some(field) => writer.field(field)?,
                None => {
                    source.finish().await?;
                    return Ok(Some((writer.end()?, None)));
                }
            }
        }
        let piece = Bytes::from(std::mem::take(&mut writer.out));
        Ok(Some((piece, Some((source, writer, None)))))
    })
}

/// One field as it stands on the wire.
struct Field {
    number: u32,
    wire_type: WireType,
    value: Bytes,
}

/// Reads fields from a gRPC response.
struct Source {
    frames: Frames,
    /// Bytes of the reply that are not in the buffer yet.
    unread: usize,
    /// Bytes of the message that are not consumed yet, buffered or not.
    left: usize,
    buffer: BytesMut,
}

// === impl Source ===

impl Source {
    /// Descends to a field of the message, which then is the rest of the message. Skips the fields before it.
    async fn enter(&mut self, number: u32) -> Result<(), io::Error> {
        loop {
            let Some((found, wire_type)) = self.key().await? else {
                return Err(broken("it lacks the field that is the reply"));
            };
            if found == number && wire_type == WireType::LengthDelimited {
                let length = usize::try_from(self.varint().await?).unwrap_or(usize::MAX);
                if length > self.left {
                    return Err(broken("a field is longer than its message"));
                }
                self.left = length;
                return Ok(());
            }
            self.value(wire_type).await?;
        }
    }

    /// The next field; none at the end of the message.
    async fn next(&mut self) -> Result<Option<Field>, io::Error> {
        let Some((number, wire_type)) = self.key().await? else { return Ok(None) };
        let value = self.value(wire_type).await?;
        Ok(Some(Field { number, wire_type, value }))
    }

    /// Skips the rest after the message, and reads the end of the response.
    async fn finish(mut self) -> Result<(), io::Error> {
        while self.unread > 0 {
            self.unread -= self.frames.take_some(self.unread).await.map_err(io::Error::other)?.len();
        }
        self.frames.finish().await.map_err(io::Error::other)
    }

    async fn key(&mut self) -> Result<Option<(u32, WireType)>, io::Error> {
        if self.left == 0 {
            return Ok(None);
        }
        let key = self.varint().await?;
        let wire_type = WireType::try_from(key & 7).map_err(io::Error::other)?;
        let number = u32::try_from(key >> 3).map_err(|_| broken("a field's number is too large"))?;
        Ok(Some((number, wire_type)))
    }

    async fn value(&mut self, wire_type: WireType) -> Result<Bytes, io::Error> {
        let length = match wire_type {
            WireType::Varint => {
                let value = self.varint().await?;
                let mut bytes = Vec::new();
                encode_varint(value, &mut bytes);
                return Ok(bytes.into());
            }
            WireType::ThirtyTwoBit => 4,
            WireType::SixtyFourBit => 8,
            WireType::LengthDelimited => {
                usize::try_from(self.varint().await?).map_err(|_| broken("a length is too large"))?
            }
            WireType::StartGroup | WireType::EndGroup => return Err(broken("it contains a group")),
        };
        self.fill(length).await?;
        self.left -= length;
        Ok(self.buffer.split_to(length).freeze())
    }

    async fn varint(&mut self) -> Result<u64, io::Error> {
        for length in 1..=10 {
            self.fill(length).await?;
            if self.buffer[length - 1] < 0x80 {
                let mut bytes = &self.buffer[..length];
                let value = decode_varint(&mut bytes).map_err(io::Error::other)?;
                self.buffer.advance(length);
                self.left -= length;
                return Ok(value);
            }
        }
        Err(broken("a number is too long"))
    }

    /// Fills the buffer with at least this many bytes.
    async fn fill(&mut self, length: usize) -> Result<(), io::Error> {
        if length > self.left {
            return Err(broken("a field is longer than its message"));
        }
        while self.buffer.len() < length {
            let piece = self.frames.take_some(self.unread).await.map_err(io::Error::other)?;
            self.unread -= piece.len();
            self.buffer.extend_from_slice(&piece);
        }
        Ok(())
    }
}

/// Writes the JSON of a message from its fields.
struct Writer {
    message: MessageDescriptor,
    out: Vec<u8>,
    /// Fields that are no members of lists, until they are written.
    rest: Vec<u8>,
    /// The list that is open.
    list: Option<u32>,
    /// JSON names of the written fields.
    written: HashSet<String>,
}

// === impl Writer ===

impl Writer {
    fn new(message: MessageDescriptor) -> Self {
        Self { message, out: vec![b'{'], rest: Vec::new(), list: None, written: HashSet::new() }
    }

    fn field(&mut self, field: Field) -> Result<(), io::Error> {
        let Some(descriptor) = self.message.get_field(field.number) else { return Ok(()) };
        let element = match descriptor.kind() {
            Kind::Message(element) if descriptor.is_list() => element,
            _ => {
                encode_key(field.number, field.wire_type, &mut self.rest);
                if field.wire_type == WireType::LengthDelimited {
                    encode_varint(field.value.len() as u64, &mut self.rest);
                }
                self.rest.extend_from_slice(&field.value);
                return Ok(());
            }
        };
        if self.list == Some(field.number) {
            self.out.push(b',');
        } else {
            self.close_list();
            self.flush(false)?;
            self.name(descriptor.json_name())?;
            self.out.push(b'[');
            self.list = Some(field.number);
        }
        let element = DynamicMessage::decode(element, field.value).map_err(io::Error::other)?;
        self.out.extend_from_slice(&write(&element)?);
        Ok(())
    }

    /// Writes the remaining fields and the default values; the last chunk.
    fn end(mut self) -> Result<Bytes, io::Error> {
        self.close_list();
        self.flush(true)?;
        self.out.push(b'}');
        Ok(self.out.into())
    }

    /// Writes the fields that are no members of lists; those with their default only at the end.
    fn flush(&mut self, at_end: bool) -> Result<(), io::Error> {
        let rest = Bytes::from(std::mem::take(&mut self.rest));
        let message = DynamicMessage::decode(self.message.clone(), rest).map_err(io::Error::other)?;
        let members = members(&message)?;
        for field in self.message.clone().fields() {
            let name = field.json_name();
            let Some(value) = members.get(name) else { continue };
            if message.has_field(&field) || (at_end && !self.written.contains(name)) {
                self.name(name)?;
                self.out.extend_from_slice(value.to_string().as_bytes());
            }
        }
        Ok(())
    }

    fn name(&mut self, name: &str) -> Result<(), io::Error> {
        if !self.written.is_empty() {
            self.out.push(b',');
        }
        if !self.written.insert(name.to_owned()) {
            return Err(broken("the members of a field do not stand together"));
        }
        // Names of fields are letters, digits and underscores.
        self.out.extend_from_slice(format!("\"{name}\":").as_bytes());
        Ok(())
    }

    fn close_list(&mut self) {
        if self.list.take().is_some() {
            self.out.push(b']');
        }
    }
}

fn broken(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the response of an upstream is malformed: {why}"))
}
