/* Median cut by variance, some rounds of k-means, and error diffusion where the picture is smooth: there a step
 * would show, elsewhere the picture's own detail hides it and diffusion only costs bytes.
 *
 * Colours are premultiplied by alpha. Their distance is the sum of what is seen on black and what is seen on white: a
 * quadratic form, so means are best, and what is clear has no colour. */
#include "palette.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_ENTRIES = 1 << 13,
    SLOTS = 1 << 16, /* of the hash table and of the cache: a power of two */
    SLOT_BITS = 16,
    ROUNDS = 2,
    PINNED_SHARE = 64,
    SMOOTH = 12, /* difference to the neighbours, of 255, up to which a step would show */
    BLOCK = 8,
    LEAST_OF_BLOCK = 16
};

static const float AXIS_WEIGHT[4] = {0.6f, 1.0f, 0.45f, 1.0f};
static const float STRENGTH = 0.85f; /* of diffusion: less than all of the error makes less noise */
static const float CROWD = 0.6f;     /* many equal pixels count less than in proportion, or details are lost */

typedef struct {
    double sum[4], weights; /* floats drift: by one of 255 over a million equal pixels, by three over six */
    float at[4], weight;
    uint32_t key;
    int pixels, colour;
} entry;

typedef struct {
    int start, count, axis;
    float mean[4], spread; /* spread: the sum of squares that a split could save */
} box;

typedef struct {
    float at[4][PALETTE_COLOURS];
    int count;
} colours;

typedef struct {
    const uint8_t *pixels;
    int width, height, shift, entries;
    entry *entry_of;
    int32_t *slots; /* entry + 1, 0 for none */
    int *order;
    box boxes[PALETTE_COLOURS];
    colours colours;
    uint32_t *cache_keys;
    uint8_t *cache_colours;
    float *errors; /* two rows, of width + 2 pixels */
    double *sums;  /* of a row of blocks: four differences, and pixels */
    double total[2];
} work;

static inline uint32_t read_pixel(const uint8_t *pixel) {
    uint32_t value;
    memcpy(&value, pixel, sizeof value);
    return value;
}

/* 0 for what is clear, and for nothing else: a faint shadow must not lend it its own alpha. */
static inline uint32_t key_of(const uint8_t *pixel, int shift) {
    const uint32_t mask = (0xFFu << shift & 0xFF) * 0x01010101u;
    const uint32_t key = read_pixel(pixel) & mask;
    return pixel[3] ? key ? key : 1 : 0;
}

static inline uint32_t slot_of(uint32_t key) { return key * 2654435761u >> (32 - SLOT_BITS); }

static inline void premultiplied(const uint8_t *pixel, float *at) {
    const float alpha = pixel[3] * (1.0f / 255);
    for (int axis = 0; axis < 3; axis++) at[axis] = pixel[axis] * alpha;
    at[3] = pixel[3];
}

/* How much a pixel differs from those to its left and above: 0 to 255. */
static int roughness(const work *w, int x, int y) {
    const uint8_t *pixel = w->pixels + ((size_t)y * w->width + x) * 4;
    const uint8_t *left = x ? pixel - 4 : pixel, *above = y ? pixel - (size_t)w->width * 4 : pixel;
    int most = 0;
    for (int axis = 0; axis < 4; axis++) {
        const int across = abs(pixel[axis] - left[axis]), down = abs(pixel[axis] - above[axis]);
        if (across > most) most = across;
        if (down > most) most = down;
    }
    return most;
}

static entry *entry_for(work *w, uint32_t key) {
    uint32_t slot = slot_of(key);
    while (w->slots[slot] && w->entry_of[w->slots[slot] - 1].key != key) slot = (slot + 1) & (SLOTS - 1);
    if (w->slots[slot]) return &w->entry_of[w->slots[slot] - 1];
    if (w->entries == MOST_ENTRIES) return NULL;
    entry *fresh = &w->entry_of[w->entries++];
    *fresh = (entry){.key = key};
    w->slots[slot] = w->entries;
    return fresh;
}

static int counted(work *w, int shift) {
    memset(w->slots, 0, SLOTS * sizeof *w->slots);
    w->entries = 0;
    w->shift = shift;
    for (int y = 0; y < w->height; y++) {
        for (int x = 0; x < w->width; x++) {
            const uint8_t *pixel = w->pixels + ((size_t)y * w->width + x) * 4;
            entry *found = entry_for(w, key_of(pixel, shift));
            if (!found) return 0;
            const float weight = 1.0f + 8.0f / (1 + roughness(w, x, y));
            float at[4];
            premultiplied(pixel, at);
            for (int axis = 0; axis < 4; axis++) found->sum[axis] += (double)at[axis] * weight;
            found->weights += weight;
            found->pixels++;
        }
    }
    return 1;
}

static void weigh(work *w) {
    for (int number = 0; number < w->entries; number++) {
        entry *each = &w->entry_of[number];
        for (int axis = 0; axis < 4; axis++) each->at[axis] = (float)(each->sum[axis] / each->weights);
        each->weight = powf((float)each->weights, CROWD);
        w->order[number] = number;
    }
}

static void measure(const work *w, box *b) {
    double sum[4] = {0}, squares[4] = {0}, weight = 0;
    for (int number = b->start; number < b->start + b->count; number++) {
        const entry *each = &w->entry_of[w->order[number]];
        for (int axis = 0; axis < 4; axis++) {
            sum[axis] += (double)each->weight * each->at[axis];
            squares[axis] += (double)each->weight * each->at[axis] * each->at[axis];
        }
        weight += each->weight;
    }
    double most = -1;
    b->spread = 0;
    for (int axis = 0; axis < 4; axis++) {
        b->mean[axis] = (float)(sum[axis] / weight);
        const double spread = (squares[axis] - sum[axis] * sum[axis] / weight) * AXIS_WEIGHT[axis];
        b->spread += (float)spread;
        if (spread > most) {
            most = spread;
            b->axis = axis;
        }
    }
    if (b->count < 2) b->spread = 0;
}

static void split(work *w, box *old, box *fresh) {
    int low = old->start, high = old->start + old->count;
    while (low < high) {
        const int number = w->order[low];
        if (w->entry_of[number].at[old->axis] < old->mean[old->axis]) {
            low++;
        } else {
            w->order[low] = w->order[--high];
            w->order[high] = number;
        }
    }
    if (low == old->start) low++; /* all are as good as equal */
    *fresh = (box){.start = low, .count = old->start + old->count - low};
    old->count = low - old->start;
    measure(w, old);
    measure(w, fresh);
}

static void cut(work *w) {
    w->boxes[0] = (box){.start = 0, .count = w->entries};
    measure(w, &w->boxes[0]);
    int count = 1;
    while (count < PALETTE_COLOURS) {
        int most = 0;
        for (int number = 1; number < count; number++)
            if (w->boxes[number].spread > w->boxes[most].spread) most = number;
        if (w->boxes[most].count < 2) break;
        split(w, &w->boxes[most], &w->boxes[count++]);
    }
    w->colours.count = count;
    for (int number = 0; number < count; number++)
        for (int axis = 0; axis < 4; axis++) w->colours.at[axis][number] = w->boxes[number].mean[axis];
}

static int nearest(const colours *known, const float *at) {
    float far[PALETTE_COLOURS] = {0}, least = INFINITY;
    for (int axis = 0; axis < 3; axis++) {
        const float weight = AXIS_WEIGHT[axis];
        for (int number = 0; number < PALETTE_COLOURS; number++) {
            const float black = known->at[axis][number] - at[axis];
            const float white = black - (known->at[3][number] - at[3]);
            far[number] += weight * (black * black + white * white);
        }
    }
    for (int number = 0; number < known->count; number++)
        if (far[number] < least) least = far[number];
    int found = 0;
    while (far[found] > least) found++;
    return found;
}

static void refine(work *w) {
    for (int round = 0; round < ROUNDS; round++) {
        double sum[PALETTE_COLOURS][5] = {{0}};
        for (int number = 0; number < w->entries; number++) {
            entry *each = &w->entry_of[number];
            double *into = sum[nearest(&w->colours, each->at)];
            for (int axis = 0; axis < 4; axis++) into[axis] += (double)each->weight * each->at[axis];
            into[4] += each->weight;
        }
        for (int number = 0; number < w->colours.count; number++)
            for (int axis = 0; axis < 4; axis++)
                if (sum[number][4] > 0) w->colours.at[axis][number] = (float)(sum[number][axis] / sum[number][4]);
    }
}

/* What is clear stays clear, and what covers much of a picture keeps its colour exactly: on a page of that colour the
 * least difference would show as a frame. */
static void pin(work *w) {
    const int many = w->width * w->height / PINNED_SHARE + 1;
    int held[PALETTE_COLOURS] = {0};
    for (int number = 0; number < w->entries; number++) {
        const entry *each = &w->entry_of[number];
        const int claim = each->key ? each->pixels : INT_MAX;
        if (claim < many) continue;
        const int colour = nearest(&w->colours, each->at);
        if (claim <= held[colour]) continue;
        held[colour] = claim;
        for (int axis = 0; axis < 4; axis++) w->colours.at[axis][colour] = each->at[axis];
    }
}

static uint8_t sample(float value) { return value <= 0 ? 0 : value >= 255 ? 255 : (uint8_t)(value + 0.5f); }

static int is_clearer(const void *one, const void *other) {
    const uint8_t *a = one, *b = other;
    return a[3] != b[3] ? a[3] - b[3] : (a[0] + 2 * a[1] + a[2]) - (b[0] + 2 * b[1] + b[2]);
}

/* Round to what a file holds; from here on these are the colours. */
static void settle(work *w, palette_result *result) {
    result->count = w->colours.count;
    for (int number = 0; number < result->count; number++) {
        uint8_t *colour = result->colours[number];
        const float alpha = w->colours.at[3][number];
        colour[3] = sample(alpha);
        for (int axis = 0; axis < 3; axis++)
            colour[axis] = colour[3] ? sample(w->colours.at[axis][number] * 255 / alpha) : 0;
    }
    qsort(result->colours, (size_t)result->count, sizeof result->colours[0], is_clearer);
    for (int number = 0; number < result->count; number++) {
        float at[4];
        premultiplied(result->colours[number], at);
        for (int axis = 0; axis < 4; axis++) w->colours.at[axis][number] = at[axis];
    }
    for (int number = 0; number < w->entries; number++)
        w->entry_of[number].colour = nearest(&w->colours, w->entry_of[number].at);
}

/* The nearest colour to what diffusion wants, by a cache of cells of 4 × 4 × 4 × 4. */
static int cached(work *w, const float *at) {
    uint32_t key = 0;
    for (int axis = 0; axis < 4; axis++) key = key << 6 | (uint32_t)at[axis] >> 2;
    const uint32_t slot = slot_of(key);
    if (w->cache_keys[slot] != key + 1) {
        w->cache_keys[slot] = key + 1;
        w->cache_colours[slot] = (uint8_t)nearest(&w->colours, at);
    }
    return w->cache_colours[slot];
}

static void diffuse(const float *error, float *here, float *below) {
    for (int axis = 0; axis < 4; axis++) {
        const float share = error[axis] * STRENGTH / 16;
        here[4 + axis] += share * 7;
        below[axis - 4] += share * 3;
        below[axis] += share * 5;
        below[axis + 4] += share;
    }
}

static int chosen(work *w, const uint8_t *pixel, int is_smooth, float *here, float *below) {
    if (!is_smooth) return entry_for(w, key_of(pixel, w->shift))->colour;
    float at[4], error[4];
    premultiplied(pixel, at);
    for (int axis = 3; axis >= 0; axis--) {
        const float most = axis == 3 ? 255 : at[3]; /* no colour shines brighter than its alpha */
        at[axis] += here[axis];
        at[axis] = at[axis] < 0 ? 0 : at[axis] > most ? most : at[axis];
    }
    const int colour = cached(w, at);
    for (int axis = 0; axis < 4; axis++) error[axis] = at[axis] - w->colours.at[axis][colour];
    diffuse(error, here, below);
    return colour;
}

static void compare(work *w, const uint8_t *pixel, int colour, double *sums) {
    float at[4], differs[4];
    premultiplied(pixel, at);
    for (int axis = 0; axis < 4; axis++) {
        differs[axis] = w->colours.at[axis][colour] - at[axis];
        sums[axis] += differs[axis];
    }
    for (int axis = 0; axis < 3; axis++) {
        w->total[0] += fabsf(differs[axis]);
        w->total[1] += fabsf(differs[axis] - differs[3]);
    }
    sums[4] += 1;
}

static void close_blocks(work *w, palette_result *result, double *squares, double *blocks) {
    const int across = (w->width + BLOCK - 1) / BLOCK;
    for (int number = 0; number < across; number++) {
        double *sums = w->sums + number * 5;
        if (sums[4] >= LEAST_OF_BLOCK) {
            for (int axis = 0; axis < 3; axis++) {
                const double black = fabs(sums[axis]) / sums[4], white = fabs(sums[axis] - sums[3]) / sums[4];
                const double most = black > white ? black : white;
                *squares += most * most;
                if (most > result->worst) result->worst = most;
            }
            *blocks += 3;
        }
    }
    memset(w->sums, 0, (size_t)across * 5 * sizeof *w->sums);
}

static void map(work *w, uint8_t *indices, palette_result *result) {
    const size_t row = ((size_t)w->width + 2) * 4;
    double squares = 0, blocks = 0;
    for (int y = 0; y < w->height; y++) {
        float *here = w->errors + (y & 1) * row + 4, *below = w->errors + (~y & 1) * row + 4;
        memset(below - 4, 0, row * sizeof *below);
        for (int x = 0; x < w->width; x++) {
            const size_t at = (size_t)y * w->width + x;
            const uint8_t *pixel = w->pixels + at * 4;
            const int is_smooth = w->entries > PALETTE_COLOURS && pixel[3] && roughness(w, x, y) <= SMOOTH;
            const int colour = chosen(w, pixel, is_smooth, here + (size_t)x * 4, below + (size_t)x * 4);
            indices[at] = (uint8_t)colour;
            compare(w, pixel, colour, w->sums + x / BLOCK * 5);
        }
        if ((y + 1) % BLOCK == 0 || y + 1 == w->height) close_blocks(w, result, &squares, &blocks);
    }
    const double samples = 3.0 * w->width * w->height;
    result->mean = (w->total[0] > w->total[1] ? w->total[0] : w->total[1]) / samples;
    result->coarse = blocks > 0 ? sqrt(squares / blocks) : 0;
}

static void release(work *w) {
    free(w->entry_of);
    free(w->slots);
    free(w->order);
    free(w->cache_keys);
    free(w->cache_colours);
    free(w->errors);
    free(w->sums);
    free(w);
}

static work *reserved(const uint8_t *pixels, int width, int height) {
    work *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    w->pixels = pixels;
    w->width = width;
    w->height = height;
    w->entry_of = malloc(MOST_ENTRIES * sizeof *w->entry_of);
    w->slots = malloc(SLOTS * sizeof *w->slots);
    w->order = malloc(MOST_ENTRIES * sizeof *w->order);
    w->cache_keys = calloc(SLOTS, sizeof *w->cache_keys);
    w->cache_colours = malloc(SLOTS);
    w->errors = calloc(((size_t)width + 2) * 8, sizeof *w->errors);
    w->sums = calloc(((size_t)width / BLOCK + 1) * 5, sizeof *w->sums);
    if (w->entry_of && w->slots && w->order && w->cache_keys && w->cache_colours && w->errors && w->sums) return w;
    release(w);
    return NULL;
}

int palette_made(const uint8_t *pixels, int width, int height, uint8_t *indices, palette_result *result) {
    memset(result, 0, sizeof *result);
    work *w = reserved(pixels, width, height);
    if (!w) return 0;
    int shift = 0;
    while (!counted(w, shift)) shift++;
    weigh(w);
    cut(w);
    if (w->entries > PALETTE_COLOURS) {
        refine(w);
        pin(w);
    }
    settle(w, result);
    map(w, indices, result);
    release(w);
    return 1;
}
