/* The command line of a stand-alone program: reads inputs, runs the model, writes outputs or times it. */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "program.h"

enum { BENCH_RUNS = 50, WARM_UP_RUNS = 8, SHOWN = 8 };

struct options {
    const char *output, *weights;
    long threads, runs, warm_up;
    bool bench, info;
};

static const char *program = "";

void fail(int code, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "%s: ", program);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(code);
}

void *buffer(size_t bytes)
{
    size_t rounded = (bytes + 63) / 64 * 64;
    void *memory = aligned_alloc(64, rounded ? rounded : 64);

    if (!memory)
        fail(FAILED, "out of memory: %zu bytes are needed", bytes);
    return memset(memory, 0, rounded);
}

void print_type(FILE *stream, const struct tensor *tensor)
{
    fprintf(stream, "%s ", tensor->dtype);
    if (tensor->text) {
        fputs(tensor->text, stream);
        return;
    }
    if (!tensor->rank)
        fputs("scalar", stream);
    for (int i = 0; i < tensor->rank; i++)
        fprintf(stream, "%s%" PRId64, i ? "x" : "", tensor->shape[i]);
}

static void help(void)
{
    printf("usage: %s [options] [[NAME=]FILE ...]\n\n", program);
    printf("Runs the model %s on inputs from .npy or .pb (TensorProto) files, by name or in this order:\n\n", model.name);
    for (int i = 0; i < model.input_count; i++) {
        printf("  %s: ", model.inputs[i].name);
        print_type(stdout, &model.inputs[i]);
        putchar('\n');
    }
    puts("\n  -o, --output DIR   write each output to DIR/NAME.npy (DIR is made) instead of showing its first values\n"
         "  --bench[=N]        time N runs (50 by default); inputs that are not given are made up\n"
         "  --dim NAME=N       value of a dim, where no input tells it\n"
         "  --warmup=N         runs before timing (8 by default)\n"
         "  --threads=N        threads of a run (all processors by default)\n"
         "  --weights=FILE     the weights file, unless the weights are embedded\n"
         "  --info             show the model's inputs, outputs and target\n"
         "  --help             show this\n\n"
         "Exit codes: 0 done, 1 the run failed, 2 wrong command line or inputs.");
}

static void print_tensors(const char *kind, const struct tensor *tensors, int count)
{
    for (int i = 0; i < count; i++) {
        printf("%s[%d]  %s: ", kind, i, tensors[i].name);
        print_type(stdout, &tensors[i]);
        putchar('\n');
    }
}

static void info(void)
{
    const char *place = model.embedded ? "embedded" : "in a file";

    print_tensors("in", model.inputs, model.input_count);
    print_tensors("out", model.outputs, model.output_count);
    for (int i = 0; i < model.dim_count; i++)
        printf("dim      %s: %" PRId64 " to %" PRId64 "%s\n", model.dims[i].name, model.dims[i].low, model.dims[i].high,
               i < model.given_count ? "" : ", which a run tells");
    printf("target   %s\nfeatures %s\n", model.target, model.features);
    for (const char *const *level = model.levels; level && *level; level++)
        printf("version  %s\n", *level);
    printf("weights  %zu bytes%s%s\n", model.weights_bytes, model.weights_bytes ? ", " : "", model.weights_bytes ? place : "");
    printf("arena    %zu bytes\n", model.arena_size(NULL));
}

/* The number in an option's value, at least `least`. */
static long number(const char *option, const char *text, long least)
{
    char *end;
    long value;

    errno = 0;
    value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < least || value > INT32_MAX)
        fail(USAGE, "%s wants a number of at least %ld, not '%s'", option, least, text);
    return value;
}

/* The value of `--name=value` or `--name value`; NULL when argument `*at` is another option. */
static const char *value_of(const char *name, char **argv, int *at)
{
    const char *argument = argv[*at];
    size_t length = strlen(name);

    if (strncmp(argument, name, length) == 0 && argument[length] == '=')
        return argument + length + 1;
    if (strcmp(argument, name) != 0)
        return NULL;
    if (!argv[*at + 1])
        fail(USAGE, "%s wants a value", name);
    return argv[++*at];
}

/* The value of a dim, from "NAME=N". */
static void set_dim(const char *text)
{
    for (int i = 0; i < model.given_count; i++) {
        size_t length = strlen(model.dims[i].name);

        if (strncmp(text, model.dims[i].name, length) == 0 && text[length] == '=') {
            model.values[i] = number("--dim", text + length + 1, 0);
            return;
        }
    }
    fail(USAGE, "--dim '%s': the model has no such dim (see %s --info)", text, program);
}

/* One option at argv[*at]; false when it is none. */
static bool option(struct options *options, char **argv, int *at)
{
    const char *argument = argv[*at], *value;

    if (argument[0] != '-' || !argument[1])
        return false;
    if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
        help();
        exit(0);
    }
    if (strcmp(argument, "--info") == 0)
        options->info = true;
    else if (strcmp(argument, "--bench") == 0)
        options->bench = true;
    else if (strncmp(argument, "--bench=", 8) == 0) {
        options->bench = true;
        options->runs = number("--bench", argument + 8, 1);
    } else if ((value = value_of("--warmup", argv, at)))
        options->warm_up = number("--warmup", value, 0);
    else if ((value = value_of("--threads", argv, at)))
        options->threads = number("--threads", value, 1);
    else if ((value = value_of("--dim", argv, at)))
        set_dim(value);
    else if ((value = value_of("--weights", argv, at)))
        options->weights = value;
    else if ((value = value_of("--output", argv, at)) || (value = value_of("-o", argv, at)))
        options->output = value;
    else
        fail(USAGE, "unknown option '%s' (see %s --help)", argument, program);
    return true;
}

/* The input that a word is for, and in *path its file: NAME=FILE, or FILE for the first that has none yet. */
static int input_of(const char *word, void *const *in, const char **path)
{
    for (int i = 0; i < model.input_count; i++) {
        size_t length = strlen(model.inputs[i].name);

        if (strncmp(word, model.inputs[i].name, length) == 0 && word[length] == '=') {
            *path = word + length + 1;
            return i;
        }
    }
    *path = word;
    if (strchr(word, '=') && access(word, F_OK) != 0)
        fail(USAGE, "'%s': the model has no such input (see %s --info)", word, program);
    for (int i = 0; i < model.input_count; i++)
        if (!in[i])
            return i;
    fail(USAGE, "'%s': all %d inputs are given already", word, model.input_count);
}

/* Numbers that are neither denormal nor large: floats in [0, 1), integers 0 and 1. */
static void make_up(const struct tensor *tensor, void *data)
{
    uint32_t state = 1;

    for (size_t i = 0; i < tensor->bytes / tensor->item; i++) {
        state = state * 1664525u + 1013904223u;
        float real = (float)(state >> 8) / 16777216.0f;
        double wide = real;
        if (strcmp(tensor->dtype, "float32") == 0)
            ((float *)data)[i] = real;
        else if (strcmp(tensor->dtype, "float64") == 0)
            ((double *)data)[i] = wide;
        else if (strstr(tensor->dtype, "int") || strcmp(tensor->dtype, "bool") == 0)
            ((uint8_t *)data)[i * tensor->item] = state >> 31; /* the others stay 0 */
    }
}

/* The values of dims that the shape of an input tells. */
static void take_dims(const struct tensor *input)
{
    for (int axis = 0; axis < input->rank; axis++) {
        int dim = input->open ? input->open[axis] - 1 : -1;

        if (dim < 0)
            continue;
        if (model.values[dim] >= 0 && model.values[dim] != input->shape[axis])
            fail(USAGE, "input '%s' has extent %" PRId64 " along axis %d, but dim %s is %" PRId64, input->name,
                 input->shape[axis], axis, model.dims[dim].name, model.values[dim]);
        model.values[dim] = input->shape[axis];
    }
}

/* From the values of dims to the shapes of all tensors. */
static void apply_dims(void)
{
    model.shapes();
    for (int i = 0; i < model.input_count + model.output_count; i++) {
        struct tensor *tensor = i < model.input_count ? &model.inputs[i] : &model.outputs[i - model.input_count];

        tensor->text = NULL;
        size_tensor(tensor);
    }
}

/* Settle the dims, by inputs that are given and by options, and check that the inputs' shapes follow from them. */
static void settle_dims(void *const *in)
{
    int64_t *given;

    if (!model.dim_count)
        return;
    for (int i = 0; i < model.input_count; i++)
        if (in[i])
            take_dims(&model.inputs[i]);
    for (int i = 0; i < model.given_count; i++)
        if (model.values[i] < model.dims[i].low || model.values[i] > model.dims[i].high)
            fail(USAGE, "dim %s %s: it is %" PRId64 " to %" PRId64 " (an input's shape or --dim %s=N tells it)",
                 model.dims[i].name, model.values[i] < 0 ? "is not known" : "is out of bounds", model.dims[i].low,
                 model.dims[i].high, model.dims[i].name);
    for (int i = model.given_count; i < model.dim_count; i++)
        model.values[i] = model.dims[i].high;
    given = buffer(sizeof *given * MAX_RANK * (size_t)(model.input_count + 1));
    for (int i = 0; i < model.input_count; i++)
        memcpy(given + MAX_RANK * i, model.inputs[i].shape, sizeof *given * (size_t)model.inputs[i].rank);
    apply_dims();
    for (int i = 0; i < model.input_count; i++)
        if (in[i] && memcmp(given + MAX_RANK * i, model.inputs[i].shape, sizeof *given * (size_t)model.inputs[i].rank))
            fail(USAGE, "input '%s' has another shape than the dims say", model.inputs[i].name);
    free(given);
}

static void complete_inputs(const struct options *options, void **in)
{
    for (int i = 0; i < model.input_count; i++) {
        if (in[i])
            continue;
        if (!options->bench) {
            fprintf(stderr, "%s: input '%s' is not given: pass a .npy or .pb file of ", program, model.inputs[i].name);
            print_type(stderr, &model.inputs[i]);
            fputc('\n', stderr);
            exit(USAGE);
        }
        in[i] = buffer(model.inputs[i].room);
        make_up(&model.inputs[i], in[i]);
    }
}

/* The weights file in memory; NULL when the weights are embedded or there are none. */
static const void *map_weights(const char *path, size_t *bytes)
{
    struct stat status;
    void *data = MAP_FAILED;
    int file;

    *bytes = 0;
    if (!path) {
        if (model.weights_bytes && !model.embedded)
            fail(USAGE, "the weights are in a file: pass --weights=%s.weights", model.name);
        return NULL;
    }
    file = open(path, O_RDONLY);
    if (file >= 0 && fstat(file, &status) == 0) {
        *bytes = (size_t)status.st_size;
        data = mmap(NULL, *bytes, PROT_READ, MAP_PRIVATE, file, 0);
    }
    if (data == MAP_FAILED)
        fail(USAGE, "can't read the weights file '%s': %s", path, strerror(errno));
    close(file);
    return data;
}

static void check(int32_t status)
{
    static const char *const reasons[] = {
        "", "a shape is outside the bounds that the model was compiled for",
        "this processor lacks a feature that the program was compiled for",
        "the weights are missing, cut short or another model's", "an index in the inputs is out of range",
        "a result is larger than the bound that the model was compiled for",
    };

    if (!status)
        return;
    if (status == 2)
        fail(FAILED, "%s: %s", reasons[2], model.features);
    if (status > 0 && status < (int32_t)(sizeof reasons / sizeof *reasons))
        fail(FAILED, "%s", reasons[status]);
    fail(FAILED, "unknown status %" PRId32, status);
}

static double milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static void bench(const struct options *options, const void *const *in, void *const *out, void *arena)
{
    double least = 0, most = 0, sum = 0;

    for (long i = 0; i < options->warm_up; i++)
        check(model.run(model.context, in, out, model.values, arena));
    for (long i = 0; i < options->runs; i++) {
        double start = milliseconds(), taken;

        check(model.run(model.context, in, out, model.values, arena));
        taken = milliseconds() - start;
        sum += taken;
        least = !i || taken < least ? taken : least;
        most = taken > most ? taken : most;
    }
    printf("%s  min = %.3f  max = %.3f  avg = %.3f ms  (%ld runs, %" PRId32 " threads%s%s)\n", model.name, least, most,
           sum / (double)options->runs, options->runs, model.thread_count(model.context), model.levels ? ", " : "",
           model.levels ? model.levels[model.level(model.context)] : "");
}

static void show(const struct tensor *tensor, const void *data)
{
    size_t count = tensor->bytes / tensor->item;

    printf("%s: ", tensor->name);
    print_type(stdout, tensor);
    putchar(':');
    for (size_t i = 0; i < count && i < SHOWN; i++) {
        if (strcmp(tensor->dtype, "float32") == 0)
            printf(" %g", (double)((const float *)data)[i]);
        else if (strcmp(tensor->dtype, "float64") == 0)
            printf(" %g", ((const double *)data)[i]);
        else if (strcmp(tensor->dtype, "int64") == 0)
            printf(" %" PRId64, ((const int64_t *)data)[i]);
        else if (strcmp(tensor->dtype, "int32") == 0)
            printf(" %" PRId32, ((const int32_t *)data)[i]);
        else
            for (size_t byte = tensor->item; byte > 0; byte--)
                printf(byte == tensor->item ? " 0x%02x" : "%02x", ((const uint8_t *)data)[i * tensor->item + byte - 1]);
    }
    puts(count > SHOWN ? " ..." : "");
}

static void run(const struct options *options, void **in)
{
    void **out = buffer(sizeof *out * (size_t)(model.output_count + 1));
    void *arena = buffer(model.arena_size(NULL));
    const void *weights;
    size_t bytes;

    for (int i = 0; i < model.output_count; i++)
        out[i] = buffer(model.outputs[i].room);
    weights = map_weights(options->weights, &bytes);
    check(model.init(model.context, weights, bytes, (int32_t)options->threads));
    if (options->bench)
        bench(options, (const void *const *)in, out, arena);
    else
        check(model.run(model.context, (const void *const *)in, out, model.values, arena));
    model.release(model.context);
    if (model.dim_count)
        apply_dims();
    if (options->output && mkdir(options->output, 0777) && errno != EEXIST)
        fail(FAILED, "can't make the folder '%s': %s", options->output, strerror(errno));
    if (options->output)
        for (int i = 0; i < model.output_count; i++)
            write_npy(options->output, &model.outputs[i], out[i]);
    else if (!options->bench)
        for (int i = 0; i < model.output_count; i++)
            show(&model.outputs[i], out[i]);
}

int main(int argc, char **argv)
{
    struct options options = {.runs = BENCH_RUNS, .warm_up = WARM_UP_RUNS};
    void **in = buffer(sizeof *in * (size_t)(model.input_count + 1));

    program = argc && strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argc ? argv[0] : model.name;
    for (int at = 1; at < argc; at++) {
        const char *path;
        int index;

        if (option(&options, argv, &at))
            continue;
        index = input_of(argv[at], in, &path);
        if (in[index])
            fail(USAGE, "input '%s' is given twice", model.inputs[index].name);
        in[index] = buffer(model.inputs[index].room);
        read_tensor(path, &model.inputs[index], in[index]);
    }
    if (options.info) {
        info();
        return 0;
    }
    settle_dims(in);
    complete_inputs(&options, in);
    run(&options, in);
    return fflush(stdout) ? FAILED : 0;
}
