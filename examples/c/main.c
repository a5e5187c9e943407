/* Runs a model that mlc compiled under the name `model`: maps its weights, feeds it zeros, prints what comes out. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model.h"

/* The file's bytes, or NULL; a model with embedded weights needs no file. */
static const void *map_file(const char *path, size_t *bytes)
{
    struct stat info;
    int file = open(path, O_RDONLY);
    void *data = MAP_FAILED;

    if (file >= 0 && fstat(file, &info) == 0) {
        *bytes = (size_t)info.st_size;
        data = mmap(NULL, *bytes, PROT_READ, MAP_PRIVATE, file, 0);
    }
    if (file >= 0)
        close(file);
    return data == MAP_FAILED ? NULL : data;
}

/* Zeroed memory aligned to 64 bytes. */
static void *buffer(size_t bytes)
{
    size_t rounded = (bytes + 63) / 64 * 64;
    void *memory = aligned_alloc(64, rounded ? rounded : 64);

    if (!memory) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return memset(memory, 0, rounded);
}

int main(int argc, char **argv)
{
    static model_ctx ctx;
    const size_t in_bytes[] = model_INPUT_BYTES, out_bytes[] = model_OUTPUT_BYTES;
    const void *in[model_INPUTS + 1];
    void *out[model_OUTPUTS + 1];
    size_t weights_bytes = 0;
    const void *weights = argc > 1 ? map_file(argv[1], &weights_bytes) : NULL;
    int32_t status = model_init(&ctx, weights, weights_bytes, 0);

    if (status != model_OK) {
        fprintf(stderr, "model_init: status %" PRId32 "\n", status);
        return 1;
    }
    for (int i = 0; i < model_INPUTS; i++)
        in[i] = buffer(in_bytes[i]);
    for (int i = 0; i < model_OUTPUTS; i++)
        out[i] = buffer(out_bytes[i]);

    status = model_run(&ctx, in, out, NULL, buffer(model_arena_size(NULL)));
    if (status != model_OK) {
        fprintf(stderr, "model_run: status %" PRId32 "\n", status);
        return 1;
    }
    printf("ran on %" PRId32 " threads\n", model_threads(&ctx));
    for (int i = 0; i < model_OUTPUTS; i++) {
        printf("out[%d]:", i);
        for (size_t j = 0; j < out_bytes[i] / sizeof(float) && j < 8; j++)
            printf(" %g", (double)((const float *)out[i])[j]);
        printf("\n");
    }
    model_free(&ctx);
    return 0;
}
