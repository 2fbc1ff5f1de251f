/* The smallest firmware: a model that tests itself and then infers for ever. */
#include "anam_net.h"

ANAM_NET_ALIGNED static int8_t arena[ANAM_NET_ARENA_BYTES];
static int8_t input[ANAM_NET_INPUT_LEN], output[ANAM_NET_OUTPUT_LEN];

/* For a debugger: the status of the last call. */
volatile int32_t state;

int main(void)
{
    uint32_t layer = 0;
    state = anam_net_self_test(arena, sizeof arena, input, sizeof input, output, sizeof output);
    if (state == ANAM_NET_OK)
        state = anam_net_check_layers(arena, sizeof arena, input, sizeof input, output, sizeof output, &layer);
    /* A board that miscalculates stands still. */
    while (state == ANAM_NET_OK)
        state = anam_net_infer(arena, sizeof arena, input, sizeof input, output, sizeof output);
    for (;;) {
    }
}
