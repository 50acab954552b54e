/* Every operation of the network layer at a size at which an encoder uses it, forward and backward with the gradient of its input, batch 128, one thread. One CSV line each: GFLOP/s of
 * multiply-adds (backward counted twice), GB/s of what goes in and out, and per cent of what the machine can do. */
#include <string.h>

#include "bench.h"
#include "nn/ops.h"

enum { BATCH = 128 };

static int conv_time(graph *g) { return ndi_conv_time(g, 0, "op", 40, 25, 51, 5); }
static int conv_space(graph *g) { return ndi_conv_space(g, 0, "op", 40); }
static int conv_norm_space(graph *g) { return ndi_conv_norm_space(g, 0, "op", (conv_norm_space_names){ "time", "norm", "space" }, 8, 63, 2); }
static int conv_channels(graph *g) { return ndi_conv_channels(g, 0, "op", (conv_channels_names){ "time", "space" }, 40, 25); }
static int conv_residual(graph *g)
{
    return ndi_conv1d(g, 0, "op", (conv1d){ .maps = 64, .kernel = 17, .left = 8, .right = 8, .rows_are_maps = true });
}
static int mean_pool(graph *g) { return ndi_mean_pool(g, 0, "op", 51, 5); }
static int max_pool(graph *g) { return ndi_max_pool(g, 0, "op", 4); }
static int batch_norm(graph *g) { return ndi_batch_norm(g, 0, "op"); }
static int layer_norm(graph *g) { return ndi_layer_norm(g, 0, "op"); }
static int elu(graph *g) { return ndi_elu(g, 0); }
static int gelu(graph *g) { return ndi_gelu(g, 0); }
static int relu(graph *g) { return ndi_relu(g, 0); }
static int dropout(graph *g) { return ndi_dropout(g, 0, 0.5); }
static int linear_512(graph *g) { return ndi_linear(g, 0, "op", 512); }
static int linear_4096(graph *g) { return ndi_linear(g, 0, "op", 4096); }
static int linear_rows(graph *g) { return ndi_linear_rows(g, 0, "op", 250); }
static int tokens(graph *g) { return ndi_tokens(g, 0); }
static int lstm(graph *g) { return ndi_lstm(g, 0, "op", 0, 128); }

/* Queries, keys and values are three different nodes; the layers that make them are part of the case. */
static int attention(graph *g)
{
    return ndi_attention(g, ndi_linear_rows(g, 0, "q", 248), ndi_linear_rows(g, 0, "k", 248), ndi_linear_rows(g, 0, "v", 248), 4, 0.125, 0);
}

static const struct {
    const char *name;
    shape x;
    int (*build)(graph *g);
} cases[] = {
    { "conv_time (NICE)", { 1, 63, 250 }, conv_time },
    { "conv_space (NICE)", { 40, 63, 36 }, conv_space },
    { "conv_norm_space (EEGNet)", { 1, 63, 250 }, conv_norm_space },
    { "conv_channels (Shallow)", { 1, 63, 250 }, conv_channels },
    { "conv1d 64 to 64 maps (ResNet1d)", { 1, 64, 256 }, conv_residual },
    { "batch_norm (NICE)", { 40, 63, 36 }, batch_norm },
    { "elu (NICE)", { 40, 63, 36 }, elu },
    { "mean_pool (Conformer)", { 40, 1, 226 }, mean_pool },
    { "max_pool", { 64, 1, 256 }, max_pool },
    { "tokens (Conformer)", { 40, 1, 36 }, tokens },
    { "relu (ResNet1d)", { 64, 1, 256 }, relu },
    { "linear 1440 to 512 (NICE)", { 1440, 1, 1 }, linear_512 },
    { "linear 15750 to 512 (EEGProject)", { 1, 63, 250 }, linear_512 },
    { "linear 4096 to 4096 (BrainMLP)", { 4096, 1, 1 }, linear_4096 },
    { "linear_rows 63 x 250 to 250 (ATM-S)", { 1, 63, 250 }, linear_rows },
    { "attention with its three layers (ATM-S)", { 1, 64, 250 }, attention },
    { "layer_norm 4096", { 4096, 1, 1 }, layer_norm },
    { "gelu 4096", { 4096, 1, 1 }, gelu },
    { "dropout 4096", { 4096, 1, 1 }, dropout },
    { "lstm 250 steps, 63 to 128", { 1, 250, 63 }, lstm },
};

static void forward(void *p) { ndi_forward(p); }
static void backward(void *p) { ndi_backward(p); }

static void run(const machine *m, size_t i)
{
    graph *g;
    workspace *w;
    OK(ndi_graph_create(&g, "bench", cases[i].x));
    cases[i].build(g);
    OK(g->status);
    OK(ndi_workspace_create(&w, g, BATCH, true, true, NULL));
    const size_t n_x = BATCH * ndi_shape_size(cases[i].x), n_y = BATCH * ndi_shape_size(ndi_graph_out(g));
    float *params = noise(g->n_params + 1), *state = noise(g->n_state + 1), *new_state = noise(g->n_state + 1), *grads = noise(g->n_params + 1),
          *x = noise(n_x), *dy = noise(n_y);
    pass p = { .w = w, .B = BATCH, .training = true, .x = x, .params = params, .state = state, .new_state = new_state, .grads = grads };
    ndi_graph_init(g, 1, params, state);
    double work = 0;
    for (int k = 0; k < g->n_nodes; k++) work += 2e-9 * BATCH * (double)g->nodes[k].multiply_adds;
    const double moved = 4e-9 * (double)(n_x + n_y + g->n_params);
    char name[120];
    snprintf(name, sizeof name, "%s forward", cases[i].name);
    print_case(m, name, least_time(forward, &p, 0.3), work, moved);
    memcpy(ndi_output_grad(&p), dy, n_y * sizeof *dy);
    snprintf(name, sizeof name, "%s backward", cases[i].name);
    print_case(m, name, least_time(backward, &p, 0.3), 2 * work, 2 * moved);
    float *blocks[] = { params, state, new_state, grads, x, dy };
    for (size_t k = 0; k < sizeof blocks / sizeof *blocks; k++) free(blocks[k]);
    ndi_workspace_free(w);
    ndi_graph_free(g);
}

int main(void)
{
    const machine m = begin_table();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) run(&m, i);
    return 0;
}
