/* What a C function gets that computes an operator of a model compiled by mlc:
 *
 *     int32_t squared_relu(const mlc_tensor *inputs, const mlc_tensor *outputs, const mlc_parameter *parameters);
 *
 * It reads the inputs' data, writes all of the outputs' and returns 0; with any other number the run returns
 * NAME_OPERATOR_FAILED. Its results may depend on nothing but its arguments, and it may run on any thread, on several at
 * once when the model does. Nothing may be thrown through it. Memory belongs to the caller, and only until it returns.
 */
#ifndef MLC_OPERATOR_H
#define MLC_OPERATOR_H

#include <stdint.h>

/* Element types, with ONNX's numbers. */
enum mlc_dtype {
    MLC_FLOAT32 = 1,
    MLC_UINT8 = 2,
    MLC_INT8 = 3,
    MLC_UINT16 = 4,
    MLC_INT16 = 5,
    MLC_INT32 = 6,
    MLC_INT64 = 7,
    MLC_BOOL = 9,
    MLC_FLOAT16 = 10,
    MLC_FLOAT64 = 11,
    MLC_UINT32 = 12,
    MLC_UINT64 = 13,
    MLC_BFLOAT16 = 16
};

/* A tensor: dense, row-major, aligned to its elements. Inputs are not to be written. */
typedef struct mlc_tensor {
    void *data;
    const int64_t *shape; /* `rank` extents */
    int32_t rank;
    int32_t dtype; /* an mlc_dtype */
} mlc_tensor;

/* An attribute of the operator, in the order in which they were registered. */
typedef struct mlc_parameter {
    union {
        int64_t i;
        double f;
        const char *s; /* UTF-8, ends with a zero */
        const int64_t *ints;
        const double *floats;
    } value;
    int64_t count; /* 1 for a number, bytes of a string, elements of a list */
} mlc_parameter;

#endif
