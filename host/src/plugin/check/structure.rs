//! A bounded look at a component before anything else reads it.
//!
//! The compiler follows nested definitions by calling itself, and instantiates on paper whatever one component makes of
//! another: some bytes can cost it the whole stack, which ends the process, or all memory. Here every section is read with
//! a stack of our own, and each count has a bound far above what toolchains make. What is not well-formed is refused
//! here as well, so that nothing which was not counted gets further.

use wasmparser::{
    BinaryReader, BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentInstance,
    ComponentOuterAliasKind, ComponentType, ComponentTypeDeclaration, ComponentTypeRef, CoreType,
    Instance, InstanceTypeDeclaration, Parser, Payload,
};

/// Components within components. One built from a guest has 1, one composed of others a few more.
const COMPONENT_LEVELS: usize = 16;
/// Types within types. An interface within a world within a component type is 3.
const TYPE_LEVELS: usize = 16;
/// Components and modules, all levels together.
const PARTS: usize = 256;
/// Type definitions, all levels together. The probe of the tests, with all that WASI brings, has some hundreds.
const TYPES: usize = 20_000;
/// Imports, and as many exports, of all components and modules together.
const NAMES: usize = 20_000;
/// Instances that come to be when the component is instantiated once.
const INSTANCES: usize = 1_000;

/// Why a file is not looked at any further.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It is not well-formed.
    Malformed(BinaryReaderError),
    /// It has more than `limit` of something.
    Excess { what: &'static str, limit: usize },
}

impl From<BinaryReaderError> for Refused {
    fn from(error: BinaryReaderError) -> Self {
        Self::Malformed(error)
    }
}

/// Reads all sections of `wasm`.
pub(crate) fn check(wasm: &[u8]) -> Result<(), Refused> {
    let mut shape = Shape::default();
    for payload in Parser::new(0).parse_all(wasm) {
        shape.take(payload?, wasm)?;
    }
    Ok(())
}

/// What has been seen so far.
#[derive(Default)]
struct Shape {
    /// Components and modules that are being read, the innermost last.
    open: Vec<Part>,
    parts: usize,
    types: usize,
    imports: usize,
    exports: usize,
}

/// One component or module.
#[derive(Default)]
struct Part {
    /// Instances that one instance of it brings along, itself included.
    instances: usize,
    /// The same of each component that it can name, by index.
    components: Vec<usize>,
    is_component: bool,
}

impl Shape {
    fn take(&mut self, payload: Payload<'_>, wasm: &[u8]) -> Result<(), Refused> {
        match payload {
            Payload::Version { encoding, .. } => {
                let is_component = encoding == wasmparser::Encoding::Component;
                self.open.push(Part { instances: 1, components: Vec::new(), is_component });
                within(
                    "levels of components within components",
                    self.open.len(),
                    COMPONENT_LEVELS,
                )?;
                add(&mut self.parts, 1, "components and modules", PARTS)
            }
            Payload::End(_) => {
                let ended = self.open.pop().unwrap_or_default();
                if ended.is_component { self.names(ended.instances) } else { Ok(()) }
            }
            Payload::TypeSection(types) => self.types(types.count()),
            Payload::ImportSection(imports) => self.imports(imports.count()),
            Payload::ExportSection(exports) => self.exports(exports.count()),
            Payload::CoreTypeSection(types) => {
                self.types(types.count())?;
                for core in types {
                    self.core_type(&core?)?;
                }
                Ok(())
            }
            Payload::ComponentTypeSection(types) => {
                let count = types.count();
                let (at, range) = (types.original_position(), types.range());
                let bytes = wasm.get(at..range.end).unwrap_or_default();
                self.component_types(&mut BinaryReader::new(bytes, at), count)
            }
            Payload::ComponentImportSection(imports) => {
                self.imports(imports.count())?;
                for import in imports {
                    if let ComponentTypeRef::Component(_) = import?.ty {
                        return handed_over();
                    }
                }
                Ok(())
            }
            Payload::ComponentExportSection(exports) => {
                self.exports(exports.count())?;
                for export in exports {
                    let export = export?;
                    // An export is a new name for it, and a new index.
                    if export.kind == ComponentExternalKind::Component {
                        self.names(self.cost(0, export.index))?;
                    }
                }
                Ok(())
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases {
                    self.alias(&alias?)?;
                }
                Ok(())
            }
            Payload::InstanceSection(instances) => {
                for instance in instances {
                    if let Instance::Instantiate { .. } = instance? {
                        self.instantiates(1)?;
                    }
                }
                Ok(())
            }
            Payload::ComponentInstanceSection(instances) => {
                for instance in instances {
                    if let ComponentInstance::Instantiate { component_index, .. } = instance? {
                        let brought = self.cost(0, component_index);
                        self.instantiates(brought)?;
                    }
                }
                Ok(())
            }
            // What is left is bounded by the file's size, or by the compiler's own limits.
            _ => Ok(()),
        }
    }

    /// The innermost part can name one more component.
    fn names(&mut self, cost: usize) -> Result<(), Refused> {
        let Some(part) = self.open.last_mut() else { return Ok(()) };
        part.components.push(cost);
        within("components that one can name", part.components.len(), PARTS)
    }

    /// What one instance of a component costs that is named `index` some levels further out. One that does not exist
    /// costs nothing: the compiler refuses it.
    fn cost(&self, outwards: u32, index: u32) -> usize {
        let outwards = usize::try_from(outwards).unwrap_or(usize::MAX);
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let part = self.open.iter().rev().nth(outwards);
        part.and_then(|part| part.components.get(index)).copied().unwrap_or(0)
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) -> Result<(), Refused> {
        match *alias {
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                self.names(self.cost(count, index))
            }
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => {
                handed_over()
            }
            ComponentAlias::Outer { .. }
            | ComponentAlias::InstanceExport { .. }
            | ComponentAlias::CoreInstanceExport { .. } => Ok(()),
        }
    }

    fn instantiates(&mut self, brought: usize) -> Result<(), Refused> {
        let Some(part) = self.open.last_mut() else { return Ok(()) };
        add(&mut part.instances, brought, "instances", INSTANCES)
    }

    /// Reads component types without following one into another: each that is open has a place on `open`.
    fn component_types(
        &mut self,
        reader: &mut BinaryReader<'_>,
        count: u32,
    ) -> Result<(), Refused> {
        let mut open = vec![(Within::Section, count)];
        while let Some((within_what, left)) = open.last_mut() {
            let Some(fewer) = left.checked_sub(1) else {
                open.pop();
                continue;
            };
            *left = fewer;
            if !begins_type(reader, *within_what)? {
                self.declaration(reader, *within_what)?;
                continue;
            }
            self.types(1)?;
            let nested = match peek(reader)? {
                0x41 => Within::Component,
                0x42 => Within::Instance,
                _ => {
                    reader.read::<ComponentType<'_>>()?;
                    continue;
                }
            };
            reader.read_u8()?;
            open.push((nested, reader.read_var_u32()?));
            // The section is none of them.
            within("levels of types within types", open.len() - 1, TYPE_LEVELS)?;
        }
        Ok(())
    }

    /// Reads a declaration that is no type.
    fn declaration(&mut self, reader: &mut BinaryReader<'_>, of: Within) -> Result<(), Refused> {
        let core = match of {
            Within::Component => match reader.read::<ComponentTypeDeclaration<'_>>()? {
                ComponentTypeDeclaration::CoreType(core) => core,
                ComponentTypeDeclaration::Import(_) => return self.imports(1),
                ComponentTypeDeclaration::Export { .. } => return self.exports(1),
                ComponentTypeDeclaration::Alias(_) | ComponentTypeDeclaration::Type(_) => {
                    return Ok(());
                }
            },
            Within::Section | Within::Instance => {
                match reader.read::<InstanceTypeDeclaration<'_>>()? {
                    InstanceTypeDeclaration::CoreType(core) => core,
                    InstanceTypeDeclaration::Export { .. } => return self.exports(1),
                    InstanceTypeDeclaration::Alias(_) | InstanceTypeDeclaration::Type(_) => {
                        return Ok(());
                    }
                }
            }
        };
        self.types(1)?;
        self.core_type(&core)
    }

    /// Counts what a module type declares; a recursion group counts its types.
    fn core_type(&mut self, core: &CoreType<'_>) -> Result<(), Refused> {
        let declared = match core {
            CoreType::Rec(group) => group.types().len(),
            CoreType::Module(declarations) => declarations.len(),
        };
        add(&mut self.types, declared, "type definitions", TYPES)
    }

    fn types(&mut self, more: u32) -> Result<(), Refused> {
        add(&mut self.types, size(more), "type definitions", TYPES)
    }

    fn imports(&mut self, more: u32) -> Result<(), Refused> {
        add(&mut self.imports, size(more), "imports", NAMES)
    }

    fn exports(&mut self, more: u32) -> Result<(), Refused> {
        add(&mut self.exports, size(more), "exports", NAMES)
    }
}

/// Where a component type's next item stands.
#[derive(Clone, Copy)]
enum Within {
    /// The section: types, one after another.
    Section,
    Component,
    Instance,
}

/// Whether the next item is a type; takes the byte that says so.
fn begins_type(reader: &mut BinaryReader<'_>, within: Within) -> Result<bool, Refused> {
    match within {
        Within::Section => Ok(true),
        Within::Component | Within::Instance => {
            let is_type = peek(reader)? == 0x01;
            if is_type {
                reader.read_u8()?;
            }
            Ok(is_type)
        }
    }
}

fn peek(reader: &BinaryReader<'_>) -> Result<u8, Refused> {
    Ok(reader.clone().read_u8()?)
}

fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn add(count: &mut usize, more: usize, what: &'static str, limit: usize) -> Result<(), Refused> {
    *count = count.saturating_add(more);
    within(what, *count, limit)
}

fn within(what: &'static str, count: usize, limit: usize) -> Result<(), Refused> {
    if limit < count { Err(Refused::Excess { what, limit }) } else { Ok(()) }
}

/// What such a component would instantiate cannot be told from its bytes.
fn handed_over() -> Result<(), Refused> {
    Err(Refused::Excess { what: "components handed to components", limit: 0 })
}

#[cfg(test)]
mod tests;
