/* Python's door to palette.c. The work is done without the GIL. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "palette.h"

static PyObject *answer(PyObject *indices, const palette_result *result) {
    return Py_BuildValue("(Oy#ddd)", indices, (const char *)result->colours, (Py_ssize_t)result->count * 4, result->mean,
                         result->coarse, result->worst);
}

static PyObject *palettised(PyObject *module, PyObject *arguments) {
    Py_buffer pixels;
    int width, height;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "y*ii:palettised", &pixels, &width, &height)) return NULL;
    PyObject *made = NULL, *indices = NULL;
    if (width <= 0 || height <= 0 || pixels.len % 4 || pixels.len / 4 % width || pixels.len / 4 / width != height) {
        PyErr_SetString(PyExc_ValueError, "the image must have width times height times 4 bytes");
    } else if ((indices = PyBytes_FromStringAndSize(NULL, pixels.len / 4)) != NULL) {
        palette_result result;
        int is_made;
        uint8_t *into = (uint8_t *)PyBytes_AsString(indices);
        Py_BEGIN_ALLOW_THREADS
        is_made = palette_made(pixels.buf, width, height, into, &result);
        Py_END_ALLOW_THREADS
        made = is_made ? answer(indices, &result) : PyErr_NoMemory();
        Py_DECREF(indices);
    }
    PyBuffer_Release(&pixels);
    return made;
}

static PyMethodDef functions[] = {
    {"palettised", palettised, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_palette",
    .m_methods = functions,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__palette(void) { return PyModuleDef_Init(&definition); }
