"""What pyproject.toml does not say in a settled form: the compiled scan of neurons.

It is optional: where there is no compiler, operators of torch do the same.
"""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "snnconvert.ops._native",
            sources=["csrc/native.cpp"],
            language="c++",
            optional=True,
            py_limited_api=True,
            extra_compile_args=[
                "-std=c++17",
                "-O3",
                "-g0",
                "-ffp-contract=off",  # the same bits in every form
                "-fno-math-errno",
                "-fno-trapping-math",
                "-fopenmp",
            ],
            extra_link_args=["-fopenmp"],
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
