/* Calls everything in the header: inferences on the golden file's inputs, tests, and every misuse. */
#include "check.h"

#include "anam_net.h"

/* Larger and smaller than the arena needs to be, aligned and not, are all cut from this. */
ANAM_NET_ALIGNED static uint8_t arena[ANAM_NET_ARENA_BYTES + 64];
static int8_t input[ANAM_NET_INPUT_LEN];
static int8_t output[ANAM_NET_OUTPUT_LEN];
static int failures;

/* What the arena holds before each call must not matter; what the output holds shows whether a call wrote to it. */
#define GARBAGE 0xA5
#define UNTOUCHED 0x5A

void print_number(uint32_t number)
{
    char text[11];
    int at = sizeof text - 1;
    text[at] = '\0';
    do {
        text[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    print(&text[at]);
}

static void print_status(int32_t status)
{
    if (status < 0)
        print("-");
    print_number(status < 0 ? (uint32_t)-status : (uint32_t)status);
}

static void print_checksum(uint64_t sum)
{
    char text[17];
    for (int i = 0; i < 16; i++)
        text[i] = "0123456789abcdef"[(sum >> (60 - 4 * i)) & 15];
    text[16] = '\0';
    print(text);
}

static void expect(const char *what, int holds)
{
    if (holds)
        return;
    failures++;
    print("failed: ");
    print(what);
    print("\n");
}

/* The input of a golden file's `seed:N`: SplitMix64, the top byte of each number. */
static void fill_from_seed(uint64_t state, int8_t *codes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint64_t z = state += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        codes[i] = (int8_t)((z ^ (z >> 31)) >> 56);
    }
}

/* FNV-1a. */
static uint64_t checksum(const int8_t *codes, size_t len)
{
    uint64_t sum = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++)
        sum = (sum ^ (uint8_t)codes[i]) * 0x100000001b3u;
    return sum;
}

static void prepare_memory(void)
{
    for (size_t i = 0; i < sizeof arena; i++)
        arena[i] = GARBAGE;
    for (size_t i = 0; i < sizeof output; i++)
        output[i] = UNTOUCHED;
}

static void print_layer(void *user, const anam_net_layer *layer)
{
    uint32_t *seen = user;
    (*seen)++;
    print("layer ");
    print_number(layer->index);
    print(" ");
    print(layer->name);
    print(" ");
    print_number(layer->height);
    print("x");
    print_number(layer->width);
    print("x");
    print_number(layer->channels);
    print(" ");
    print_checksum(anam_net_layer_checksum(layer));
    print("\n");
}

/* One case of the golden file, observed; then the same unobserved, in a larger arena. */
static void run_case(const char *name, uint64_t seed)
{
    uint32_t seen = 0;
    print("case ");
    print(name);
    print("\n");
    fill_from_seed(seed, input, sizeof input);
    prepare_memory();
    expect("inference, observed",
           anam_net_infer_observed(arena, ANAM_NET_ARENA_BYTES, input, sizeof input, output, sizeof output,
                                   print_layer, &seen) == ANAM_NET_OK);
    uint64_t sum = checksum(output, sizeof output);
    print("output 0 ");
    print_checksum(sum);
    print("\n");
    expect("every layer is shown", seen == ANAM_NET_LAYERS);

    prepare_memory();
    expect("inference", anam_net_infer(arena, sizeof arena, input, sizeof input, output, sizeof output) == ANAM_NET_OK);
    expect("the same output without an observer", checksum(output, sizeof output) == sum);
}

static void run_tests(void)
{
    uint32_t layer = 12345;
    prepare_memory();
    anam_net_status status =
        anam_net_self_test(arena, ANAM_NET_ARENA_BYTES, input, sizeof input, output, sizeof output);
    print("self_test ");
    print_status(status);
    print("\n");
    expect("self-test", status == ANAM_NET_OK);

    prepare_memory();
    status = anam_net_check_layers(arena, ANAM_NET_ARENA_BYTES, input, sizeof input, output, sizeof output, &layer);
    print("check_layers ");
    print_status(status);
    print("\n");
    expect("check of layers", status == ANAM_NET_OK);
    expect("no layer is reported", layer == 12345);
    status = anam_net_check_layers(arena, ANAM_NET_ARENA_BYTES, input, sizeof input, output, sizeof output, NULL);
    expect("the place for the layer may be NULL", status == ANAM_NET_OK);

    anam_net_weight_check weights = {{0}};
    uint32_t portions = 1;
    while ((status = anam_net_check_weights(&weights, 4096, &layer)) == ANAM_NET_MORE)
        portions++;
    print("check_weights ");
    print_status(status);
    print("\n");
    expect("check of weights", status == ANAM_NET_OK && layer == 12345);
    expect("several portions", portions > 1);
    expect("no state is an error", anam_net_check_weights(NULL, 4096, &layer) == ANAM_NET_ERROR_NULL);
}

static void misuse(const char *what, int32_t status, int32_t expected)
{
    print("misuse ");
    print(what);
    print(": ");
    print_status(status);
    print("\n");
    expect(what, status == expected);
}

static void run_misuse(void)
{
    /* Each is wrong in one way; the last ones in several, of which the first in the header's order is told. */
    const struct {
        const char *what;
        void *arena;
        size_t arena_len;
        int8_t *input;
        size_t input_len;
        int8_t *output;
        size_t output_len;
        int32_t expected;
    } calls[] = {
        {"no arena", NULL, sizeof arena, input, sizeof input, output, sizeof output, ANAM_NET_ERROR_NULL},
        {"no input", arena, sizeof arena, NULL, sizeof input, output, sizeof output, ANAM_NET_ERROR_NULL},
        {"no output", arena, sizeof arena, input, sizeof input, NULL, sizeof output, ANAM_NET_ERROR_NULL},
        {"small arena", arena, ANAM_NET_ARENA_BYTES - 1, input, sizeof input, output, sizeof output,
         ANAM_NET_ERROR_LENGTH},
        {"short input", arena, sizeof arena, input, sizeof input - 1, output, sizeof output, ANAM_NET_ERROR_LENGTH},
        {"long input", arena, sizeof arena, input, sizeof input + 1, output, sizeof output, ANAM_NET_ERROR_LENGTH},
        {"short output", arena, sizeof arena, input, sizeof input, output, 0, ANAM_NET_ERROR_LENGTH},
        {"arena by 1 byte off", arena + 1, sizeof arena - 1, input, sizeof input, output, sizeof output,
         ANAM_NET_ERROR_ALIGNMENT},
        {"arena by 32 bytes off", arena + 32, sizeof arena - 32, input, sizeof input, output, sizeof output,
         ANAM_NET_ERROR_ALIGNMENT},
        {"input in the arena", arena, sizeof arena, (int8_t *)arena + ANAM_NET_ARENA_BYTES - 1, sizeof input, output,
         sizeof output, ANAM_NET_ERROR_OVERLAP},
        {"output in the arena", arena, sizeof arena, input, sizeof input, (int8_t *)arena + 100, sizeof output,
         ANAM_NET_ERROR_OVERLAP},
        {"input in the output", arena, sizeof arena, output + 1, sizeof input, output, sizeof output,
         ANAM_NET_ERROR_OVERLAP},
        {"everything wrong", arena + 1, 0, NULL, 0, (int8_t *)arena, 0, ANAM_NET_ERROR_NULL},
        {"all but the pointers", arena + 1, 0, input, 0, (int8_t *)arena, 0, ANAM_NET_ERROR_LENGTH},
    };

    prepare_memory();
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        uint32_t seen = 0;
#define BUFFERS                                                                                              \
    calls[i].arena, calls[i].arena_len, calls[i].input, calls[i].input_len, calls[i].output, calls[i].output_len
        misuse(calls[i].what, anam_net_infer(BUFFERS), calls[i].expected);
        expect("observed", anam_net_infer_observed(BUFFERS, print_layer, &seen) == calls[i].expected && seen == 0);
        expect("by the self-test", anam_net_self_test(BUFFERS) == calls[i].expected);
        expect("by the check of layers", anam_net_check_layers(BUFFERS, &seen) == calls[i].expected && seen == 0);
#undef BUFFERS
    }
    misuse("no observer",
           anam_net_infer_observed(arena, sizeof arena, input, sizeof input, output, sizeof output, NULL, NULL),
           ANAM_NET_ERROR_NULL);
    const uint8_t *samples = arena;
    misuse("no samples", anam_net_prepare(NULL, sizeof input, input, sizeof input), ANAM_NET_ERROR_NULL);
    misuse("few samples", anam_net_prepare(samples, sizeof input - 1, input, sizeof input), ANAM_NET_ERROR_LENGTH);
    misuse("samples in place", anam_net_prepare((const uint8_t *)input, sizeof input, input, sizeof input),
           ANAM_NET_ERROR_OVERLAP);

    int untouched = 1;
    for (size_t i = 0; i < sizeof arena; i++)
        untouched &= arena[i] == GARBAGE;
    for (size_t i = 0; i < sizeof output; i++)
        untouched &= output[i] == UNTOUCHED;
    expect("misuse writes nothing", untouched);
}

/* Names, and what samples become. */
static void run_rest(void)
{
    print("classes");
    for (uint32_t i = 0; i < ANAM_NET_CLASSES; i++) {
        print(i == 0 ? " " : ", ");
        print(anam_net_class_name(i));
    }
    print("\n");
    expect("no class behind the last", anam_net_class_name(ANAM_NET_CLASSES) == NULL);
    expect("a name for the last layer", anam_net_layer_name(ANAM_NET_LAYERS - 1) != NULL);
    expect("no layer behind the last", anam_net_layer_name(ANAM_NET_LAYERS) == NULL);
    expect("no checksum of nothing", anam_net_layer_checksum(NULL) == 0);

    for (size_t i = 0; i < sizeof input; i++)
        arena[i] = i % 2 == 0 ? 0 : 255;
    expect("samples", anam_net_prepare(arena, sizeof input, input, sizeof input) == ANAM_NET_OK);
    /* Samples are numbers from 0 to 1 for this network. */
    int32_t one = ANAM_NET_INPUT_ZERO_POINT + (int32_t)(1 / ANAM_NET_INPUT_SCALE + 0.5f);
    int as_said = 1;
    for (size_t i = 0; i < sizeof input; i++)
        as_said &= input[i] == (i % 2 == 0 ? ANAM_NET_INPUT_ZERO_POINT : one);
    expect("codes of black and white", as_said);
}

int check(void)
{
    run_case("seed:1", 1);
    run_case("seed:2", 2);
    run_tests();
    run_misuse();
    run_rest();
    print(failures == 0 ? "checks ok\n" : "checks failed\n");
    return failures;
}
