// The metadata of an ONNX file, which onnxruntime-web does not hand out: a reader of its outermost protobuf fields.

const METADATA_FIELD = 14; // ModelProto.metadata_props: key 1, value 2

/** The metadata by key. Throws where the bytes are no ONNX file. */
export function metadata(file: Uint8Array): Map<string, string> {
  const found = new Map<string, string>();
  for (const [field, content] of messages(file)) {
    if (field !== METADATA_FIELD) continue;
    const entry = new Map(messages(content));
    found.set(text(entry.get(1)), text(entry.get(2)));
  }
  return found;
}

function text(bytes: Uint8Array = new Uint8Array()): string {
  return new TextDecoder().decode(bytes);
}

/** Number and content of every field that has a length; numbers are left out. */
function* messages(bytes: Uint8Array): Generator<[number, Uint8Array]> {
  let at = 0;
  const varint = () => {
    for (let value = 0, factor = 1; at < bytes.length && factor < 2 ** 53; factor *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
    throw new Error('not an ONNX file');
  };
  while (at < bytes.length) {
    const tag = varint();
    const wire = tag % 8;
    if (wire === 0) varint();
    else if (wire === 1) at += 8;
    else if (wire === 5) at += 4;
    else if (wire === 2) {
      const length = varint();
      if (at + length > bytes.length) throw new Error('not an ONNX file, or not all of it');
      yield [Math.floor(tag / 8), bytes.subarray(at, at + length)];
      at += length;
    } else throw new Error('not an ONNX file');
  }
}
