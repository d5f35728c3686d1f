/* Python's door to requant.c and ssim.c. The work is done without the GIL; a decline is a str, not an exception. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

#include "requant.h"

#define TEXT_OF(value) #value
#define TEXT(value) TEXT_OF(value)

typedef struct {
    PyObject *error;
} state;

static PyObject *answer(PyObject *module, requant_fate fate, const requant_result *result) {
    const state *own = PyModule_GetState(module);
    switch (fate) {
        case REQUANT_MADE:
            return PyBytes_FromStringAndSize((const char *)result->data, (Py_ssize_t)result->bytes);
        case REQUANT_DECLINED:
            return PyUnicode_FromString(result->message);
        case REQUANT_NO_MEMORY:
            return PyErr_NoMemory();
        default:
            PyErr_SetString(own->error, result->message);
            return NULL;
    }
}

static int is_sensible(const requant_order *order) {
    const int is_right = order->quality >= 1 && order->quality <= 100 && order->orientation >= 1 &&
                         order->orientation <= 8 && order->progressive >= -1 && order->progressive <= 1;
    if (!is_right) PyErr_SetString(PyExc_ValueError, "quality is 1 to 100, orientation 1 to 8, progressive -1 to 1");
    return is_right;
}

static PyObject *requantise(PyObject *module, PyObject *positional, PyObject *named) {
    static char *names[] = {"data", "quality", "max_pixels", "max_scans", "memory_bytes", "orientation",
                            "halve_chroma", "progressive", "thrift", "segments", "is_plain", NULL};
    requant_order order = {.orientation = 1, .halve_chroma = 1, .progressive = -1, .thrift = 1};
    unsigned long long max_pixels = 0, memory_bytes = 0; /* without limits everything is declined */
    Py_buffer data, segments = {0};
    if (!PyArg_ParseTupleAndKeywords(positional, named, "y*i|$KiKipidy*p:requantise", names, &data, &order.quality,
                                     &max_pixels, &order.max_scans, &memory_bytes, &order.orientation,
                                     &order.halve_chroma, &order.progressive, &order.thrift, &segments,
                                     &order.is_plain))
        return NULL;
    PyObject *made = NULL;
    if (is_sensible(&order)) {
        requant_result result;
        requant_fate fate;
        order.max_pixels = max_pixels;
        order.memory_bytes = memory_bytes;
        order.segments = segments.buf;
        order.segments_bytes = segments.obj ? (size_t)segments.len : 0;
        Py_BEGIN_ALLOW_THREADS
        fate = requant(data.buf, (size_t)data.len, &order, &result);
        Py_END_ALLOW_THREADS
        made = answer(module, fate, &result);
        free(result.data);
    }
    PyBuffer_Release(&data);
    if (segments.obj) PyBuffer_Release(&segments);
    return made;
}

static PyObject *ssim(PyObject *module, PyObject *arguments) {
    Py_buffer one, other;
    int width, height, step = 1;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "y*y*ii|i:ssim", &one, &other, &width, &height, &step)) return NULL;
    PyObject *measured = NULL;
    const int is_right = width > 0 && height > 0 && step > 0 && one.len == other.len && one.len / width == height &&
                         one.len % width == 0;
    if (is_right) {
        double similarity;
        Py_BEGIN_ALLOW_THREADS
        similarity = requant_ssim(one.buf, other.buf, width, height, step);
        Py_END_ALLOW_THREADS
        measured = similarity < -1 ? PyErr_NoMemory() : PyFloat_FromDouble(similarity);
    } else {
        PyErr_SetString(PyExc_ValueError, "both images must have width times height bytes, and step be positive");
    }
    PyBuffer_Release(&one);
    PyBuffer_Release(&other);
    return measured;
}

static int set_up(PyObject *module) {
    state *own = PyModule_GetState(module);
    own->error = PyErr_NewException("imagemill.imaging._requant.RequantError", PyExc_ValueError, NULL);
    if (!own->error || PyModule_AddObjectRef(module, "RequantError", own->error) < 0) return -1;
#ifdef LIBJPEG_TURBO_VERSION
    return PyModule_AddStringConstant(module, "LIBRARY", "libjpeg-turbo " TEXT(LIBJPEG_TURBO_VERSION));
#else
    return PyModule_AddStringConstant(module, "LIBRARY", "libjpeg " TEXT(JPEG_LIB_VERSION));
#endif
}

static int traverse(PyObject *module, visitproc visit, void *arg) {
    const state *own = PyModule_GetState(module);
    Py_VISIT(own->error);
    return 0;
}

static int clear(PyObject *module) {
    state *own = PyModule_GetState(module);
    Py_CLEAR(own->error);
    return 0;
}

static PyMethodDef functions[] = {
    {"requantise", (PyCFunction)(void (*)(void))requantise, METH_VARARGS | METH_KEYWORDS, NULL},
    {"ssim", ssim, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)set_up}, {0, NULL}};

static PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_requant",
    .m_size = sizeof(state),
    .m_methods = functions,
    .m_slots = slots,
    .m_traverse = traverse,
    .m_clear = clear,
};

PyMODINIT_FUNC PyInit__requant(void) { return PyModuleDef_Init(&definition); }
