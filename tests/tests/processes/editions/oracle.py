"""Converts between JSON and the wire by Python's protobuf package.

Arguments: a file with a FileDescriptorSet, and the full name of a message. Each line of standard input is `json TEXT` or
`wire HEX`; the answer is a line in the other form, or `error`.
"""

import sys

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

set_file, name = sys.argv[1:]
pool = descriptor_pool.DescriptorPool()
with open(set_file, "rb") as file:
    for descriptor in descriptor_pb2.FileDescriptorSet.FromString(file.read()).file:
        pool.Add(descriptor)
message_class = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
for extension in pool.FindAllExtensions(message_class.DESCRIPTOR):
    message_factory.GetMessageClass(extension.containing_type)
for line in sys.stdin:
    form, text = line.rstrip("\n").split(" ", 1)
    try:
        if form == "json":
            print(json_format.Parse(text, message_class(), descriptor_pool=pool).SerializeToString().hex())
        else:
            message = message_class.FromString(bytes.fromhex(text))
            print(
                json_format.MessageToJson(
                    message, always_print_fields_with_no_presence=True, indent=None, descriptor_pool=pool
                )
            )
    except Exception:
        print("error")
    sys.stdout.flush()
