//! How a schema lays out bytes: a flat list of shapes without recursion, no deeper than a bound.

use std::collections::BTreeMap;

use apache_avro::Schema;
use apache_avro::schema::{Name, SchemaKind};

use crate::codec::avro::error::Error;
use crate::codec::avro::plain::refused;

/// Schemas within schemas, the outermost counted as one.
const DEPTH_MAX: usize = 32;
/// Records, enums and fixed types of one schema.
const NAMED_MAX: usize = 256;

/// Where a shape stands in [`Shapes`].
pub type Index = usize;

/// What a value consists of.
pub enum Shape {
    /// Nothing.
    Null,
    /// One byte, 0 or 1.
    Boolean,
    /// A varint of 32 bits; the kind tells a date from a number.
    Int(SchemaKind),
    /// A varint of 64 bits; the kind tells milliseconds from microseconds.
    Long(SchemaKind),
    /// So many bytes.
    Fixed(usize),
    /// Length and bytes.
    Bytes,
    /// Length and UTF-8.
    String,
    /// Place of a symbol; bytes of each symbol.
    Enum(Vec<usize>),
    /// Blocks of items.
    Array(Index),
    /// Blocks of texts and values.
    Map(Index),
    /// Place of a branch, and its value.
    Union(Vec<Index>),
    /// Each field, with the bytes of its name.
    Record(Vec<(Index, usize)>),
}

/// A shape and what follows from its parts.
pub struct Node {
    /// What it consists of.
    pub shape: Shape,
    /// Schemas from here down, this one included.
    height: usize,
    /// Whether its values have no bytes at all.
    pub weightless: bool,
}

/// The layout of a schema: parts before wholes, the outermost last.
pub struct Shapes(Vec<Node>);

impl Shapes {
    /// The layout of a schema.
    ///
    /// # Errors
    /// [`Error::Refused`] when it is recursive, too deep, has too many named types, or a type that
    /// is not known here.
    pub fn of(schema: &Schema) -> Result<Self, Error> {
        let mut compiler = Compiler { nodes: Vec::new(), named: BTreeMap::new() };
        compiler.add(schema, 1)?;
        Ok(Self(compiler.nodes))
    }

    /// What each number means, in order: the canonical form does not say.
    #[must_use]
    pub fn numbers(&self) -> Vec<SchemaKind> {
        let kind = |node: &Node| match node.shape {
            Shape::Int(kind) | Shape::Long(kind) => Some(kind),
            Shape::Null | Shape::Boolean | Shape::Fixed(_) | Shape::Bytes | Shape::String => None,
            Shape::Enum(_)
            | Shape::Array(_)
            | Shape::Map(_)
            | Shape::Union(_)
            | Shape::Record(_) => None,
        };
        self.0.iter().filter_map(kind).collect()
    }

    /// The outermost shape.
    #[must_use]
    pub fn root(&self) -> Index {
        self.0.len() - 1
    }

    /// The shape at a place that this list gave.
    #[must_use]
    pub fn node(&self, index: Index) -> &Node {
        &self.0[index]
    }
}

struct Compiler {
    nodes: Vec<Node>,
    /// Named types met so far; `None` while their own parts are being added.
    named: BTreeMap<String, Option<Index>>,
}

impl Compiler {
    /// Adds a schema after its parts; `depth` counts it and what it stands in.
    fn add(&mut self, schema: &Schema, depth: usize) -> Result<Index, Error> {
        if depth > DEPTH_MAX {
            return Err(refused(format!("the schema is more than {DEPTH_MAX} deep")));
        }
        let shape = match schema {
            Schema::Null => Shape::Null,
            Schema::Boolean => Shape::Boolean,
            Schema::Int | Schema::Date | Schema::TimeMillis => Shape::Int(SchemaKind::from(schema)),
            Schema::Long
            | Schema::TimeMicros
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos => Shape::Long(SchemaKind::from(schema)),
            Schema::Float => Shape::Fixed(size_of::<f32>()),
            Schema::Double => Shape::Fixed(size_of::<f64>()),
            Schema::Bytes => Shape::Bytes,
            Schema::String => Shape::String,
            Schema::Array(array) => Shape::Array(self.add(&array.items, depth + 1)?),
            Schema::Map(map) => Shape::Map(self.add(&map.types, depth + 1)?),
            Schema::Union(union) => Shape::Union(
                union
                    .variants()
                    .iter()
                    .map(|branch| self.add(branch, depth + 1))
                    .collect::<Result<_, _>>()?,
            ),
            Schema::Record(record) => {
                self.open(&record.name)?;
                let fields = record
                    .fields
                    .iter()
                    .map(|field| Ok((self.add(&field.schema, depth + 1)?, field.name.len())));
                let fields = fields.collect::<Result<_, _>>()?;
                return self.close(&record.name, Shape::Record(fields));
            }
            Schema::Enum(symbols) => {
                self.open(&symbols.name)?;
                return self.close(
                    &symbols.name,
                    Shape::Enum(symbols.symbols.iter().map(String::len).collect()),
                );
            }
            Schema::Fixed(fixed) => {
                self.open(&fixed.name)?;
                return self.close(&fixed.name, Shape::Fixed(fixed.size));
            }
            Schema::Ref { name } => return self.known(name, depth),
            Schema::Decimal(_) | Schema::BigDecimal | Schema::Uuid(_) | Schema::Duration(_) => {
                return Err(refused("a logical type was not reduced to the type it annotates"));
            }
        };
        Ok(self.push(shape))
    }

    fn open(&mut self, name: &Name) -> Result<(), Error> {
        if self.named.len() == NAMED_MAX {
            return Err(refused(format!("the schema has more than {NAMED_MAX} named types")));
        }
        match self.named.insert(name.fullname(None), None) {
            None => Ok(()),
            Some(_) => Err(refused("the schema defines a name twice")),
        }
    }

    fn close(&mut self, name: &Name, shape: Shape) -> Result<Index, Error> {
        let index = self.push(shape);
        self.named.insert(name.fullname(None), Some(index));
        Ok(index)
    }

    fn known(&self, name: &Name, depth: usize) -> Result<Index, Error> {
        match self.named.get(&name.fullname(None)) {
            Some(Some(index)) if depth + self.nodes[*index].height - 1 <= DEPTH_MAX => Ok(*index),
            Some(Some(_)) => Err(refused(format!("the schema is more than {DEPTH_MAX} deep"))),
            Some(None) => Err(refused("the schema is recursive")),
            None => Err(refused("the schema uses a name it does not define")),
        }
    }

    fn push(&mut self, shape: Shape) -> Index {
        let height = |index: &Index| self.nodes[*index].height;
        let weightless = |index: &Index| self.nodes[*index].weightless;
        let (below, weightless) = match &shape {
            Shape::Null => (0, true),
            Shape::Fixed(size) => (0, *size == 0),
            Shape::Boolean
            | Shape::Int(_)
            | Shape::Long(_)
            | Shape::Bytes
            | Shape::String
            | Shape::Enum(_) => (0, false),
            Shape::Array(part) | Shape::Map(part) => (height(part), false),
            Shape::Union(branches) => (branches.iter().map(height).max().unwrap_or(0), false),
            Shape::Record(fields) => (
                fields.iter().map(|(field, _)| height(field)).max().unwrap_or(0),
                fields.iter().all(|(field, _)| weightless(field)),
            ),
        };
        self.nodes.push(Node { shape, height: below + 1, weightless });
        self.nodes.len() - 1
    }
}
