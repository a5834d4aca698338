import test from 'ava';
import { dangerOf } from '../../src/weights/dangerous.js';

const split = (name: string): [module: string, name: string] => name.split(' ') as [string, string];

const dangerous = `
  os popen, posix execv, nt startfile, posixpath exists, subprocess run, sys modules, commands getoutput, pty spawn
  builtins exec, builtins compile, builtins setattr, builtins input, builtins breakpoint, __builtin__ execfile
  __builtin__ apply, builtins object.__subclasses__, importlib.util find_spec, imp load_source, runpy run_module
  pkgutil resolve_name, zipimport zipimporter, pickle load, _pickle Unpickler, cPickle loads, marshal loads, dill loads
  joblib load, yaml unsafe_load, ctypes CDLL, mmap mmap, socket socket, ssl get_server_certificate
  asyncio.subprocess create_subprocess_exec, http.client HTTPSConnection, urllib2 urlopen, requests.api post, ftplib FTP
  smtplib SMTP, webbrowser open_new, shutil copyfile, tempfile mkdtemp, glob glob, fileinput input, zipfile ZipFile
  io open, _io FileIO, codecs open, pathlib Path.read_bytes, pathlib._local PosixPath.rmdir, uuid _popen, platform popen
  threading Timer, multiprocessing.util spawnv_passfds, _thread start_new_thread, atexit register, signal signal
  code interact, pdb run, cProfile run, timeit repeat, doctest debug_script, trace Trace.runctx, logging.config listen
  types FunctionType, types CodeType, operator methodcaller, _operator attrgetter
  torch.hub load, torch load, torch.serialization load, torch.storage _load_from_bytes, torch.jit load
  torch.jit.unsupported_tensor_ops execWrapper, torch.fx.graph_module reduce_graph_module, torch.package PackageImporter
  torch.utils.cpp_extension load_inline, torch.utils.model_zoo load_url, torch._inductor.codecache PyCodeCache
  torch.ops load_library, torch FloatStorage.from_file, torch.distributed.rpc rpc_async
  numpy load, numpy fromfile, numpy savez_compressed, numpy.lib.npyio DataSource, numpy.core.records fromfile
  numpy.testing._private.utils runstring, numpy.f2py.crackfortran myeval, numpy memmap, numpy.ctypeslib load_library
  pandas read_csv, pandas.io.sql read_sql, pandas eval, cv2 imread, PIL.Image open, keras.models load_model
  transformers AutoModel.from_pretrained, mymodule os.system, mymodule _sys.modules, argparse _os, six.moves.urllib x
  _xxsubinterpreters run_string, _interpreters exec, _testcapi run_in_subinterp, test.support.script_helper run_python_until_end
  test.support os_helper.unlink, py_compile compile, compileall compile_dir, zipapp create_archive, uu encode
  torch._C import_ir_module, torch._C _import_ir_module_from_package, torch._C.jit import_ir_module_from_buffer
  typing _eval_type, typing get_type_hints, typing ForwardRef._evaluate, sympy sympify, sympy.parsing.sympy_parser parse_expr
  invoke run, invoke.context Context.run, sh bash, git Repo.clone_from, git.cmd Git.execute, pycurl Curl
  matplotlib.pyplot savefig, matplotlib.figure Figure.savefig, logging config.dictConfig, inspect getsource, signal alarm
  builtins str.__class__, builtins type.__subclasses__, builtins getattr, os stat_result.system, pathlib Path.unlink
  mymodule Net.__init__.__globals__, mymodule Net.forward.__globals__, mymodule __builtins__, mymodule helpers.eval, mymodule system, mymodule __import__
`;

for (const name of dangerous.split(/[,\n]/).map((entry) => entry.trim())) {
  if (name !== '') test(`refuses the whole file: ${name}`, (t) => t.truthy(dangerOf(...split(name))));
}

const harmless = `
  numpy.core.multiarray scalar, numpy._core.multiarray _reconstruct, numpy ndarray, numpy dtype, numpy.dtypes Float32DType
  numpy.core.numeric _frombuffer, numpy.random._pickle __randomstate_ctor, numpy.ma.core _mareconstruct
  mmengine.logging.history_buffer HistoryBuffer, mmengine.config.config ConfigDict, addict.addict Dict
  argparse Namespace, functools partial, collections deque, datetime datetime, decimal Decimal, enum Enum
  copyreg _reconstructor, copy_reg __newobj__, pathlib PosixPath, pathlib._local WindowsPath, uuid UUID, io BytesIO
  types SimpleNamespace, builtins object, builtins ValueError, builtins slice, __builtin__ long, __main__ Options
  torch.optim.adamw AdamW, torch.nn.modules.conv Conv2d, torch.nn.functional relu, torch.distributed.tensor DTensor
  torch.serialization _get_layout, torch._C Generator, torch.utils.data.dataset Subset, torchvision.tv_tensors._mask Mask
  pytorch_lightning.utilities.parsing AttributeDict, timm.utils.model_ema ModelEma, models.yolo Model
  builtins iter, __builtin__ reduce, __builtin__ unicode.lower, builtins str.lower, builtins dict.get, inspect _empty
  inspect Parameter.empty, signal Signals, signal Signals.SIGTERM, http HTTPStatus, os stat_result, zoneinfo ZoneInfo._unpickle
  __main__ Trainer.Mode, __main__ Slots.__init__, __main__ Slots.__call__, sympy.core.numbers Integer, typing ForwardRef
  github Repository, shapely Point, matplotlib.figure Figure, torch Tensor.add_, collections OrderedDict.fromkeys
  pandas._libs.internals _unpickle_block, omegaconf.dictconfig DictConfig, logging getLogger, code.models Net
`;

for (const name of harmless.split(/[,\n]/).map((entry) => entry.trim())) {
  if (name !== '') test(`stays inert: ${name}`, (t) => t.is(dangerOf(...split(name)), null));
}

for (const [name, danger] of [
  ['os system', 'runs programs'],
  ['os mkdir', 'reaches the operating system'],
  ['mymodule helpers.system', 'runs programs'],
  ['builtins eval', 'loads or runs code'],
  ['builtins globals', 'reaches into Python itself'],
  ['urllib.request urlopen', 'reaches networks'],
  ['torch.storage _load_from_bytes', 'reads other pickles'],
  ['pathlib Path.write_text', 'reaches files'],
] as const) {
  test(`says what is wrong with ${name}`, (t) => t.is(dangerOf(...split(name)), danger));
}

test('white space in a name hides nothing', (t) => {
  t.truthy(dangerOf('os\r', 'system\r'));
  t.truthy(dangerOf('subprocess ', 'run'));
});
