/* Tensors from .npy and .pb files, and to .npy files. */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "program.h"

enum { MAGIC = 6, HEADER_LIMIT = 1 << 16 };

static const char NPY[] = "\x93NUMPY";

/* A whole file, which must not be empty; *size is its length. */
static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    struct stat status;
    uint8_t *data;
    long length;

    if (file && fstat(fileno(file), &status) == 0 && S_ISDIR(status.st_mode))
        fail(USAGE, "can't read '%s': it is a folder", path);
    if (!file || fseek(file, 0, SEEK_END) || (length = ftell(file)) < 0 || fseek(file, 0, SEEK_SET))
        fail(USAGE, "can't read '%s': %s", path, strerror(errno));
    *size = (size_t)length;
    data = buffer(*size + 1);
    if (fread(data, 1, *size, file) != *size)
        fail(USAGE, "can't read '%s': %s", path, ferror(file) ? strerror(errno) : "it became shorter");
    fclose(file);
    return data;
}

/* A shape as text, "1x3x224x224", in `text` of `room` bytes. */
static const char *shape_text(int rank, const int64_t *shape, char *text, size_t room)
{
    int used = snprintf(text, room, "%s", rank ? "" : "scalar");

    for (int i = 0; i < rank; i++)
        used += snprintf(text + used, room - (size_t)used, "%s%" PRId64, i ? "x" : "", shape[i]);
    return text;
}

void size_tensor(struct tensor *tensor)
{
    tensor->bytes = tensor->item;
    for (int axis = 0; axis < tensor->rank; axis++)
        tensor->bytes *= (size_t)tensor->shape[axis];
}

/* Whether a tensor may have the shape: the extents themselves, or where they are open, no more. */
static bool fits(const struct tensor *tensor, int rank, const int64_t *shape)
{
    if (rank != tensor->rank)
        return false;
    for (int axis = 0; axis < rank; axis++) {
        bool open = tensor->open && tensor->open[axis];

        if (shape[axis] < 0 || (open ? shape[axis] > tensor->shape[axis] : shape[axis] != tensor->shape[axis]))
            return false;
    }
    return true;
}

void check_shape(const char *path, struct tensor *tensor, int rank, const int64_t *shape)
{
    char given[24 * MAX_RANK], wanted[24 * MAX_RANK];

    if (!fits(tensor, rank, shape))
        fail(USAGE, "'%s' has shape %s, input '%s' is %s %s%s", path, shape_text(rank, shape, given, sizeof given),
             tensor->name, tensor->dtype, tensor->text ? "at most " : "",
             shape_text(tensor->rank, tensor->shape, wanted, sizeof wanted));
    for (int axis = 0; axis < rank; axis++)
        tensor->shape[axis] = shape[axis];
    size_tensor(tensor);
}

/* What stands after 'KEY': in the header of a .npy file. */
static const char *entry(const char *path, const char *header, const char *key)
{
    const char *found = strstr(header, key);

    if (!found)
        fail(USAGE, "'%s' is no .npy file: its header has no %s", path, key);
    found += strlen(key);
    while (*found == ' ' || *found == ':')
        found++;
    return found;
}

/* The numbers of "(1, 3, )" in `shape`; returns how many. */
static int parse_shape(const char *path, const char *text, int64_t *shape)
{
    int rank = 0;

    if (*text != '(')
        fail(USAGE, "'%s' is no .npy file: its header has no shape", path);
    for (text++; *text && *text != ')';) {
        char *end;
        long long extent = strtoll(text, &end, 10);

        if (end == text || extent < 0 || rank == MAX_RANK)
            fail(USAGE, "'%s' is no .npy file: its header has no shape", path);
        shape[rank++] = extent;
        for (text = end; *text == ',' || *text == ' ' || *text == 'L';)
            text++;
    }
    return rank;
}

/* The header of a .npy file as a string, and in *data where its elements begin. */
static char *npy_header(const char *path, uint8_t *bytes, size_t size, size_t *data)
{
    size_t length, start;
    char *header;

    if (size < 12)
        fail(USAGE, "'%s' is cut short", path);
    start = bytes[6] == 1 ? 10 : 12;
    length = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (start == 12)
        length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (length > HEADER_LIMIT || length > size - start)
        fail(USAGE, "'%s' is cut short", path);
    header = buffer(length + 1);
    memcpy(header, bytes + start, length);
    *data = start + length;
    return header;
}

static void parse_npy(const char *path, uint8_t *bytes, size_t size, struct tensor *tensor, void *data)
{
    size_t start, length = strlen(tensor->descr);
    char *header = npy_header(path, bytes, size, &start);
    const char *descr = entry(path, header, "'descr'");
    int64_t shape[MAX_RANK];
    int rank = parse_shape(path, entry(path, header, "'shape'"), shape);

    if (*descr != '\'' || strncmp(descr + 1, tensor->descr, length) != 0 || descr[length + 1] != '\'')
        fail(USAGE, "'%s' holds %.*s, input '%s' is '%s' (%s)", path, (int)strcspn(descr, ","), descr, tensor->name,
             tensor->descr, tensor->dtype);
    check_shape(path, tensor, rank, shape);
    if (strncmp(entry(path, header, "'fortran_order'"), "True", 4) == 0 && rank > 1)
        fail(USAGE, "'%s' is in Fortran order: save numpy.ascontiguousarray(array)", path);
    if (size - start != tensor->bytes)
        fail(USAGE, "'%s' holds %zu bytes of elements, its shape needs %zu", path, size - start, tensor->bytes);
    memcpy(data, bytes + start, tensor->bytes);
    free(header);
}

void read_tensor(const char *path, struct tensor *tensor, void *data)
{
    size_t size, length = strlen(path);
    uint8_t *bytes = read_file(path, &size);

    if (size >= MAGIC && memcmp(bytes, NPY, MAGIC) == 0)
        parse_npy(path, bytes, size, tensor, data);
    else if (length > 3 && strcmp(path + length - 3, ".pb") == 0)
        parse_proto(path, bytes, size, tensor, data);
    else
        fail(USAGE, "'%s' is neither a .npy nor a .pb file", path);
    free(bytes);
}

/* The header of a .npy file, padded so that elements begin at a multiple of 64. */
static size_t format_header(const struct tensor *tensor, char *header, size_t room)
{
    int used = snprintf(header, room, "{'descr': '%s', 'fortran_order': False, 'shape': (", tensor->descr);
    size_t padded;

    for (int i = 0; i < tensor->rank; i++)
        used += snprintf(header + used, room - (size_t)used, "%" PRId64 ", ", tensor->shape[i]);
    used += snprintf(header + used, room - (size_t)used, "), }");
    padded = (10 + (size_t)used + 1 + 63) / 64 * 64 - 10;
    memset(header + used, ' ', padded - (size_t)used);
    header[padded - 1] = '\n';
    return padded;
}

void write_npy(const char *folder, const struct tensor *tensor, const void *data)
{
    char path[PATH_MAX], header[128 + 24 * MAX_RANK];
    size_t length = format_header(tensor, header, sizeof header - 64);
    uint8_t prefix[10] = {0};
    FILE *file;

    memcpy(prefix, NPY, MAGIC);
    prefix[6] = 1;
    prefix[8] = (uint8_t)length;
    prefix[9] = (uint8_t)(length >> 8);
    if (snprintf(path, sizeof path, "%s/%s.npy", folder, tensor->file) >= (int)sizeof path)
        fail(USAGE, "the path of output '%s' is too long", tensor->name);
    file = fopen(path, "wb");
    if (!file || fwrite(prefix, 1, 10, file) != 10 || fwrite(header, 1, length, file) != length ||
        fwrite(data, 1, tensor->bytes, file) != tensor->bytes || fclose(file))
        fail(FAILED, "can't write '%s': %s", path, strerror(errno));
}
