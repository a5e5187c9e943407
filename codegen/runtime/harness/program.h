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
    size_t bytes;
    int rank;
    const int64_t *shape;
};

/* The compiled model: its C interface and what it says of itself. */
struct model {
    const char *name;
    const char *target;
    const char *features;
    const struct tensor *inputs, *outputs;
    int input_count, output_count;
    size_t weights_bytes; /* of the weights file; 0 when there are no weights */
    bool embedded, threads;
    void *context;
    int32_t (*init)(void *ctx, const void *weights, size_t bytes, int32_t threads);
    int32_t (*run)(const void *ctx, const void *const *in, void *const *out, const int64_t *dims, void *arena);
    void (*release)(void *ctx);
    int32_t (*thread_count)(const void *ctx);
    size_t (*arena_size)(const int64_t *dims);
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

/* Read a .npy or .pb file of exactly the tensor's dtype and shape into `data`; ends the program with what is wrong. */
void read_tensor(const char *path, const struct tensor *tensor, void *data);

/* Write DIR/FILE.npy; ends the program when it can't. */
void write_npy(const char *folder, const struct tensor *tensor, const void *data);

/* The content of a TensorProto of `size` bytes at `bytes`, which was read from `path`, into `data`. */
void parse_proto(const char *path, const uint8_t *bytes, size_t size, const struct tensor *tensor, void *data);

/* End the program unless dtype and shape are the tensor's. */
void check_shape(const char *path, const struct tensor *tensor, int rank, const int64_t *shape);

#endif
