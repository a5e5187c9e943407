/* ONNX TensorProto messages, read without a protobuf library: the fields that hold a tensor's type, shape and data.
 *
 * The format is protocol buffers' wire format; field numbers and what each element type is stored as are those of
 * onnx.proto. Nothing in a file is trusted: every length is checked against what is left.
 */
#include <inttypes.h>
#include <string.h>

#include "program.h"

enum { DIMS = 1, DATA_TYPE = 2, RAW = 9, LOCATION = 14, VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

struct reader {
    const char *path;
    const uint8_t *at, *end;
};

/* What was found so far. */
struct found {
    int64_t type, location;
    int rank;
    int64_t shape[MAX_RANK];
    struct reader raw, typed; /* raw_data; or the packed field of the element type */
    int typed_field;
    size_t done; /* elements that stood in fields of their own, not packed */
};

static _Noreturn void malformed(const struct reader *reader)
{
    fail(USAGE, "'%s' holds no TensorProto", reader->path);
}

static uint64_t varint(struct reader *reader)
{
    uint64_t value = 0;

    for (int shift = 0; shift < 64; shift += 7) {
        if (reader->at == reader->end)
            malformed(reader);
        value |= (uint64_t)(*reader->at & 0x7F) << shift;
        if (*reader->at++ < 0x80)
            return value;
    }
    malformed(reader);
}

/* The next `count` bytes, which the reader goes past. */
static struct reader slice(struct reader *reader, uint64_t count)
{
    struct reader part = *reader;

    if (count > (uint64_t)(reader->end - reader->at))
        malformed(reader);
    reader->at += count;
    part.end = reader->at;
    return part;
}

/* The field that elements of an ONNX type are stored in, when they are not raw; 0 when they always are. */
static int field_of(int type)
{
    switch (type) {
    case 1:
        return 4; /* FLOAT: float_data */
    case 7:
        return 7; /* INT64: int64_data */
    case 11:
        return 10; /* DOUBLE: double_data */
    case 12:
    case 13:
        return 11; /* UINT32, UINT64: uint64_data */
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
    case 9:
    case 10:
    case 16:
    case 17:
    case 18:
    case 19:
    case 20:
        return 5; /* small integers, BOOL, halves, 8-bit floats: int32_data */
    default:
        return 0;
    }
}

/* One element out of a typed field, to `data`. */
static void element(struct reader *reader, int field, size_t item, uint8_t *data)
{
    struct reader bytes;
    uint64_t value;

    if (field == 4 || field == 10) {
        bytes = slice(reader, item);
        memcpy(data, bytes.at, item);
        return;
    }
    value = varint(reader);
    for (size_t i = 0; i < item; i++)
        data[i] = (uint8_t)(value >> 8 * i);
}

static void dimension(struct reader *reader, struct found *found)
{
    if (found->rank == MAX_RANK)
        malformed(reader);
    found->shape[found->rank++] = (int64_t)varint(reader);
}

/* One field of the message. */
static void field(struct reader *reader, struct found *found, const struct tensor *tensor, uint8_t *data)
{
    uint64_t key = varint(reader);
    int number = key >> 3 > INT32_MAX ? 0 : (int)(key >> 3), wire = (int)(key & 7);

    if (!number)
        malformed(reader);
    if (number == DIMS && wire == VARINT)
        dimension(reader, found);
    else if (number == DATA_TYPE && wire == VARINT)
        found->type = (int64_t)varint(reader);
    else if (number == LOCATION && wire == VARINT)
        found->location = (int64_t)varint(reader);
    else if (number == found->typed_field && wire != BYTES) {
        if (found->done == tensor->bytes / tensor->item)
            malformed(reader);
        element(reader, number, tensor->item, data + tensor->item * found->done++);
    } else if (wire == BYTES) {
        struct reader part = slice(reader, varint(reader));

        while (number == DIMS && part.at < part.end)
            dimension(&part, found);
        if (number == RAW)
            found->raw = part;
        if (number == found->typed_field)
            found->typed = part;
    } else if (wire == VARINT)
        varint(reader);
    else if (wire == FIXED64 || wire == FIXED32)
        slice(reader, wire == FIXED64 ? 8 : 4);
    else
        malformed(reader);
}

void parse_proto(const char *path, const uint8_t *bytes, size_t size, struct tensor *tensor, void *data)
{
    struct reader reader = {path, bytes, bytes + size};
    struct found found = {.typed_field = field_of(tensor->onnx)};
    size_t count;

    while (reader.at < reader.end)
        field(&reader, &found, tensor, data);
    if (!tensor->onnx || found.type != tensor->onnx)
        fail(USAGE, "'%s' holds ONNX type %" PRId64 ", input '%s' is %s", path, found.type, tensor->name, tensor->dtype);
    if (found.location)
        fail(USAGE, "'%s' keeps its data in another file", path);
    check_shape(path, tensor, found.rank, found.shape);
    count = tensor->bytes / tensor->item;
    if (found.raw.at) {
        if ((size_t)(found.raw.end - found.raw.at) != tensor->bytes)
            malformed(&reader);
        memcpy(data, found.raw.at, tensor->bytes);
        return;
    }
    for (; found.typed.at && found.typed.at < found.typed.end && found.done < count; found.done++)
        element(&found.typed, found.typed_field, tensor->item, (uint8_t *)data + tensor->item * found.done);
    if (found.done != count || found.typed.at != found.typed.end)
        malformed(&reader);
}
