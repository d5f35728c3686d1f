/* Reads a JPEG's coefficients with libjpeg and plans what becomes of them.
 *
 * libjpeg leaves by longjmp (libjpeg.txt, "Error handling"), so whatever must outlive that is in `work`, which the
 * caller of setjmp owns, and is freed in one place.
 */
#include "requant.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "requant_parts.h"

#define STEP_MOST 255 /* of an 8-bit table */

/* ITU T.81, tables K.1 and K.2, in natural order: what libjpeg scales by quality. */
static const uint8_t standard[2][BLOCK] = {
    {16, 11, 10, 16, 24, 40,  51,  61,  12, 12, 14, 19, 26,  58,  60,  55,  14, 13, 16, 24,  40,  57,
     69, 56, 14, 17, 22, 29,  51,  87,  80, 62, 18, 22, 37,  56,  68,  109, 103, 77, 24, 35, 55,  64,
     81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99},
    {17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99,
     99, 99, 47, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
     99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99}};

typedef struct {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    const requant_order *order;
    requant_result *result;
    requant_fate fate;
    picture image;
    turn turn;
} work;

/* What libjpeg calls */

static void stop(j_common_ptr jpeg) {
    work *all = jpeg->client_data;
    all->errors.format_message(jpeg, all->result->message);
    all->fate = all->errors.msg_code == JERR_OUT_OF_MEMORY ? REQUANT_NO_MEMORY : REQUANT_BROKEN;
    longjmp(all->escape, 1);
}

/* Below 0 is a warning, "the image is corrupt"; what libjpeg makes of such an image is no ground to build on. */
static void stop_at_warnings(j_common_ptr jpeg, int level) {
    if (level < 0) stop(jpeg);
}

static void keep_silent(j_common_ptr jpeg) { (void)jpeg; }

static void decline(work *all, const char *reason) {
    snprintf(all->result->message, sizeof all->result->message, "%s", reason);
    all->fate = REQUANT_DECLINED;
    longjmp(all->escape, 1);
}

static void count_scans(j_common_ptr jpeg) {
    work *all = jpeg->client_data;
    if (all->jpeg.input_scan_number > all->order->max_scans) decline(all, "scans");
}

/* May this be requantised? */

/* Kinds of JPEG that some libjpeg refuses and another decodes: the frame's marker and precision, ITU T.81, B.2.2. */
static const char *unsuitable(const uint8_t *data, size_t bytes) {
    size_t at = 2;
    while (at + 4 < bytes && data[at] == 0xFF) {
        const unsigned marker = data[at + 1];
        if (marker == 0xFF) {
            at++;
            continue;
        }
        if (marker >= 0xC9 && marker <= 0xCF && marker != 0xCC) return "arithmetic";
        if (marker >= 0xC3 && marker <= 0xC8 && marker != 0xC4) return marker == 0xC3 ? "lossless" : "hierarchical";
        if (marker >= 0xC0 && marker <= 0xC2) return data[at + 4] == 8 ? NULL : "precision";
        if (marker == 0xDA || marker == 0xD9) return NULL;
        at += 2 + ((size_t)data[at + 2] << 8 | data[at + 3]);
    }
    return NULL;
}

static const char *colours_declined(const struct jpeg_decompress_struct *jpeg) {
    if (jpeg->num_components == 4) return "cmyk";
    if (jpeg->num_components != 1 && jpeg->num_components != 3) return "components";
    if (jpeg->num_components == 1) return jpeg->jpeg_color_space == JCS_GRAYSCALE ? NULL : "colours";
    return jpeg->jpeg_color_space == JCS_YCbCr ? NULL : "colours";
}

/* What is kept a block: its coefficients, which of them are not zero, and what was chosen of them. */
#define BLOCK_BYTES (sizeof(JBLOCK) + sizeof(uint64_t) + sizeof(block))

static uint64_t all_blocks(const struct jpeg_decompress_struct *jpeg) {
    uint64_t blocks = 0;
    for (int number = 0; number < jpeg->num_components; number++) {
        const jpeg_component_info *one = &jpeg->comp_info[number];
        blocks += (uint64_t)one->width_in_blocks * one->height_in_blocks;
    }
    return blocks;
}

static void check(work *all) {
    const struct jpeg_decompress_struct *jpeg = &all->jpeg;
    const char *colours = colours_declined(jpeg);
    if (jpeg->arith_code) decline(all, "arithmetic");
    if (colours) decline(all, colours);
    if ((uint64_t)jpeg->image_width * jpeg->image_height > all->order->max_pixels) decline(all, "pixels");
    if (all_blocks(jpeg) * BLOCK_BYTES > all->order->memory_bytes) decline(all, "memory");
    if (all_blocks(jpeg) > UINT32_MAX / TOKENS_A_BLOCK) decline(all, "memory"); /* `block.first` counts tokens */
}

/* Turning */

static void plan_turn(work *all) {
    turn *how = &all->turn;
    const int orientation = all->order->orientation;
    how->is_transposed = orientation >= 5;
    how->flips_x = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
    how->flips_y = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
    for (int at = 0; at < BLOCK; at++) {
        const int y = at / 8, x = at % 8;
        how->from[at] = (uint8_t)(how->is_transposed ? x * 8 + y : at);
        how->sign[at] = (how->flips_x && x & 1) != (how->flips_y && y & 1) ? -1 : 1;
    }
}

/* A mirrored side must end with a whole MCU, or the filling of the last one would come into view. */
static void check_edges(work *all) {
    const struct jpeg_decompress_struct *jpeg = &all->jpeg;
    const turn *how = &all->turn;
    const int is_x = how->is_transposed ? how->flips_y : how->flips_x; /* in the source's own directions */
    const int is_y = how->is_transposed ? how->flips_x : how->flips_y;
    const unsigned wide = 8 * (unsigned)jpeg->max_h_samp_factor, high = 8 * (unsigned)jpeg->max_v_samp_factor;
    if ((is_x && jpeg->image_width % wide) || (is_y && jpeg->image_height % high)) decline(all, "edges");
}

/* Planning */

static void swap_sides(int *one, int *other) {
    const int kept = *one;
    *one = *other;
    *other = kept;
}

static void plan_plane(work *all, int number) {
    const jpeg_component_info *from = &all->jpeg.comp_info[number];
    const turn *how = &all->turn;
    plane *to = &all->image.plane[number];
    const int is_lone = all->image.planes == 1;
    to->h = is_lone ? 1 : from->h_samp_factor;
    to->v = is_lone ? 1 : from->v_samp_factor;
    to->in_across = (int)from->width_in_blocks;
    to->in_down = (int)from->height_in_blocks;
    to->turn = all->order->orientation > 1 ? how : NULL;
    if (how->is_transposed) {
        swap_sides(&to->h, &to->v);
        swap_sides(&to->in_across, &to->in_down);
    }
}

/* Chroma as fine as luma along a side is halved there, unless it is coarse along the other already. */
static void plan_halving(picture *image) {
    plane *luma = &image->plane[0], *blue = &image->plane[1], *red = &image->plane[2];
    if (blue->h != red->h || blue->v != red->v) return;
    const int is_x = blue->h == luma->h && luma->v <= 2 * blue->v;
    const int is_y = blue->v == luma->v && luma->h <= 2 * blue->h;
    blue->halves_x = red->halves_x = is_x;
    blue->halves_y = red->halves_y = is_y;
    if (is_x) {
        luma->h = 2;
        blue->h = red->h = 1;
    }
    if (is_y) {
        luma->v = 2;
        blue->v = red->v = 1;
    }
}

static void plan_sizes(picture *image) {
    image->h_most = image->v_most = 1;
    for (int number = 0; number < image->planes; number++) {
        plane *one = &image->plane[number];
        if (one->h > image->h_most) image->h_most = one->h;
        if (one->v > image->v_most) image->v_most = one->v;
    }
    for (int number = 0; number < image->planes; number++) {
        plane *one = &image->plane[number];
        one->across = one->halves_x ? (one->in_across + 1) / 2 : one->in_across;
        one->down = one->halves_y ? (one->in_down + 1) / 2 : one->in_down;
    }
}

static unsigned target_step(int number, int at, int quality) {
    const unsigned scale = quality < 50 ? 5000 / (unsigned)quality : 200 - 2 * (unsigned)quality;
    const unsigned step = (standard[number > 0][at] * scale + 50) / 100;
    return step < 1 ? 1 : step > STEP_MOST ? STEP_MOST : step;
}

/* A component keeps the table that stood when its first scan began; before that there is the one that stands now. */
static const JQUANT_TBL *table_of(const struct jpeg_decompress_struct *jpeg, int number) {
    const jpeg_component_info *one = &jpeg->comp_info[number];
    if (one->quant_table) return one->quant_table;
    return one->quant_tbl_no >= 0 && one->quant_tbl_no < NUM_QUANT_TBLS ? jpeg->quant_tbl_ptrs[one->quant_tbl_no] : NULL;
}

/* The old steps bound the new ones: finer ones would spend bits on digits that are not there. A merged block's
 * coefficient k comes from the old k / 2, and the average of several values is finer than they are. */
static void plan_steps(work *all, int number) {
    const JQUANT_TBL *table = table_of(&all->jpeg, number);
    plane *to = &all->image.plane[number];
    if (!table) decline(all, "tables");
    for (int at = 0; at < BLOCK; at++) {
        const int from = all->turn.is_transposed ? at % 8 * 8 + at / 8 : at;
        if (table->quantval[from] < 1 || table->quantval[from] > STEP_MOST) decline(all, "tables");
        to->old_step[at] = table->quantval[from];
    }
    for (int at = 0; at < BLOCK; at++) {
        const int y = to->halves_y ? at / 16 : at / 8, x = to->halves_x ? at % 8 / 2 : at % 8;
        const unsigned old = to->old_step[y * 8 + x] / (to->halves_x || to->halves_y ? 2U : 1U);
        const unsigned step = target_step(number, at, all->order->quality);
        to->step[at] = (uint16_t)(step > old ? step : old);
    }
    requant_prepare(to, all->order->thrift);
}

static void plan(work *all) {
    const struct jpeg_decompress_struct *jpeg = &all->jpeg;
    picture *image = &all->image;
    image->planes = jpeg->num_components;
    image->width = (int)jpeg->image_width;
    image->height = (int)jpeg->image_height;
    image->density_unit = (int)jpeg->density_unit;
    image->density_x = jpeg->X_density;
    image->density_y = jpeg->Y_density;
    if (all->turn.is_transposed) {
        swap_sides(&image->width, &image->height);
        swap_sides(&image->density_x, &image->density_y);
    }
    for (int number = 0; number < image->planes; number++) plan_plane(all, number);
    if (image->planes == 3 && all->order->halve_chroma) plan_halving(image);
    plan_sizes(image);
}

/* Work */

static void *room_for(work *all, size_t number, size_t size) {
    void *room = malloc((number ? number : 1) * size);
    if (!room) {
        all->fate = REQUANT_NO_MEMORY;
        longjmp(all->escape, 1);
    }
    return room;
}

static void make_lists(work *all, int number) {
    plane *to = &all->image.plane[number];
    to->rows = room_for(all, all->jpeg.comp_info[number].height_in_blocks, sizeof *to->rows);
    to->blocks = room_for(all, (size_t)to->across * (size_t)to->down, sizeof *to->blocks);
}

/* libjpeg keeps whole images in memory (jmemnobs.c), so rows stay where they were once they have been asked for. */
static void find_rows(work *all, jvirt_barray_ptr from, int number) {
    struct jpeg_decompress_struct *jpeg = &all->jpeg;
    plane *to = &all->image.plane[number];
    for (JDIMENSION row = 0; row < jpeg->comp_info[number].height_in_blocks; row++)
        to->rows[row] = *jpeg->mem->access_virt_barray((j_common_ptr)jpeg, from, row, 1, FALSE);
}

static void read_with_libjpeg(work *all) {
    picture *image = &all->image;
    image->tokens.count = 0;
    memset(image->tokens.seen, 0, sizeof image->tokens.seen);
    jvirt_barray_ptr *coefficients = jpeg_read_coefficients(&all->jpeg);
    for (int number = 0; number < image->planes; number++) {
        plan_steps(all, number);
        find_rows(all, coefficients[number], number);
        if (!requant_choose(image, number, 0, image->plane[number].down)) longjmp(all->escape, 1);
    }
}

static void convert(work *all, size_t bytes) {
    picture *image = &all->image;
    image->tokens.room = bytes / 4; /* a token is 6 bits or so, and half of the source goes; it grows where need be */
    image->tokens.at = room_for(all, image->tokens.room, sizeof(token));
    for (int number = 0; number < image->planes; number++) {
        plan_steps(all, number);
        make_lists(all, number);
    }
    const reading how = all->order->is_plain ? READ_NOT : requant_read(&all->jpeg, image, all->order->max_scans);
    if (how == READ_NO_MEMORY) longjmp(all->escape, 1);
    if (how == READ_NOT) read_with_libjpeg(all);
    if (!requant_write(image, all->order, all->result)) longjmp(all->escape, 1);
    all->result->width = image->width;
    all->result->height = image->height;
    all->fate = REQUANT_MADE;
}

static void work_through(work *all, const uint8_t *data, size_t bytes) {
    if (setjmp(all->escape)) return;
    const char *reason = unsuitable(data, bytes);
    if (reason) decline(all, reason);
    jpeg_create_decompress(&all->jpeg);
    all->jpeg.client_data = all;
    all->jpeg.progress = &all->progress;
    jpeg_mem_src(&all->jpeg, data, (unsigned long)bytes);
    jpeg_read_header(&all->jpeg, TRUE);
    check(all);
    plan_turn(all);
    check_edges(all);
    plan(all);
    convert(all, bytes);
}

requant_fate requant(const uint8_t *data, size_t bytes, const requant_order *order, requant_result *result) {
    work *all = calloc(1, sizeof *all);
    memset(result, 0, sizeof *result);
    if (!all) return REQUANT_NO_MEMORY;
    all->order = order;
    all->result = result;
    all->fate = REQUANT_NO_MEMORY;
    all->jpeg.err = jpeg_std_error(&all->errors);
    all->jpeg.client_data = all;
    all->errors.error_exit = stop;
    all->errors.emit_message = stop_at_warnings;
    all->errors.output_message = keep_silent;
    all->progress.progress_monitor = count_scans;
    work_through(all, data, bytes);
    jpeg_destroy_decompress(&all->jpeg); /* allowed even where nothing was created */
    for (int number = 0; number < MAX_PLANES; number++) {
        free(all->image.plane[number].rows);
        free(all->image.plane[number].blocks);
    }
    free(all->image.tokens.at);
    const requant_fate fate = all->fate;
    free(all);
    return fate;
}
