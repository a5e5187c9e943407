/* A stand-alone program around one compiled model: what its files share. */
#ifndef MLC_HARNESS_OF_A_PROGRAM_H
#define MLC_HARNESS_OF_A_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { FAILED = 1, USAGE = 2 }; /* exit codes: a run that went wrong, and a command line that makes no sense */
enum { MAX_RANK = 32 };

/* An input or output of the model; it lies dense in row-major order. */
struct tensor {
    const char *name;  /* as the model has it */
    const char *file;  /* the same for a file, without its extension */
    const char *dtype; /* NumPy's name */
    const char *descr; /* what stands in a .npy file */
    int onnx;          /* what stands in a TensorProto, or 0 when it has no number there */
    size_t item;       /* bytes of an element */
    size_t room;  /* bytes at most */
    size_t bytes; /* now */
    int rank;
    int64_t *shape;
    const int *open;  /* per axis: 0 for a fixed extent, n for that of dim n - 1, -1 for one computed; NULL: all fixed */
    const char *text; /* the shape with names of dims, "1x(seq)x64"; NULL once they are known, or all fixed */
};

/* A dim that gets its value at run time. */
struct dim {
    const char *name;
    int64_t low, high;
};

/* The compiled model: its C interface and what it says of itself. */
struct model {
    const char *name;
    const char *target;
    const char *features;
    struct tensor *inputs, *outputs;
    int input_count, output_count;
    size_t weights_bytes; /* of the weights file; 0 when there are no weights */
    bool embedded, threads;
    void *context;
    int32_t (*init)(void *ctx, const void *weights, size_t bytes, int32_t threads);
    int32_t (*run)(const void *ctx, const void *const *in, void *const *out, const int64_t *dims, void *arena);
    void (*release)(void *ctx);
    int32_t (*thread_count)(const void *ctx);
    size_t (*arena_size)(const int64_t *dims);
    const struct dim *dims; /* those that the caller gives, then those that a run computes */
    int dim_count, given_count;
    int64_t *values;      /* of the dims */
    void (*shapes)(void); /* from `values` to the shapes of tensors */
    const char *const *levels; /* targets of the versions, where there are several; else NULL */
    int32_t (*level)(const void *ctx);
};

extern const struct model model;

/* Print "PROGRAM: " and a message to standard error and end with an exit code. */
_Noreturn void fail(int code, const char *format, ...);

/* Zeroed memory aligned to 64 bytes; ends the program when there is none. */
void *buffer(size_t bytes);

/* Print a tensor's dtype and shape, "float32 1x3x224x224". */
void print_type(FILE *stream, const struct tensor *tensor);

/* Read a .npy or .pb file of the tensor's dtype and shape into `data`; ends the program with what is wrong. Extents that
 * are open may be anything that there is room for, and become the tensor's. */
void read_tensor(const char *path, struct tensor *tensor, void *data);

/* Write DIR/FILE.npy; ends the program when it can't. */
void write_npy(const char *folder, const struct tensor *tensor, const void *data);

/* The content of a TensorProto of `size` bytes at `bytes`, which was read from `path`, into `data`. */
void parse_proto(const char *path, const uint8_t *bytes, size_t size, struct tensor *tensor, void *data);

/* End the program unless the shape is the tensor's, which takes over extents that are open. */
void check_shape(const char *path, struct tensor *tensor, int rank, const int64_t *shape);

/* Set the tensor's bytes after its shape. */
void size_tensor(struct tensor *tensor);

/* A quotient, for shapes: rounded towards minus infinity where b > 0. */
static inline int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t greatest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

#endif
