/* Two operators of the domain my.lab, for models compiled by mlc: see README.md. */
#include "mlc_operator.h"

static int64_t elements(const mlc_tensor *tensor)
{
    int64_t count = 1;
    for (int32_t axis = 0; axis < tensor->rank; axis++)
        count *= tensor->shape[axis];
    return count;
}

/* y = scale * max(x, 0)^2, of float32. */
int32_t squared_relu(const mlc_tensor *inputs, const mlc_tensor *outputs, const mlc_parameter *parameters)
{
    const float *x = inputs[0].data;
    float *y = outputs[0].data;
    float scale = (float)parameters[0].value.f;
    if (inputs[0].dtype != MLC_FLOAT32)
        return 1;
    for (int64_t i = 0; i < elements(&inputs[0]); i++)
        y[i] = x[i] > 0 ? scale * x[i] * x[i] : 0;
    return 0;
}

/* How many elements of each row of x, float32 [rows, columns], are above each of the limits: int64 [rows, limits]. */
int32_t count_above(const mlc_tensor *inputs, const mlc_tensor *outputs, const mlc_parameter *parameters)
{
    const float *x = inputs[0].data;
    int64_t *counts = outputs[0].data;
    int64_t columns = inputs[0].shape[1], limits = parameters[0].count;
    for (int64_t row = 0; row < inputs[0].shape[0]; row++)
        for (int64_t limit = 0; limit < limits; limit++) {
            int64_t found = 0;
            for (int64_t column = 0; column < columns; column++)
                found += x[row * columns + column] > parameters[0].value.floats[limit];
            counts[row * limits + limit] = found;
        }
    return 0;
}
