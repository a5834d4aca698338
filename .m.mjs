const cpu=()=>{const u=process.cpuUsage();return ((u.user+u.system)/1000).toFixed(0)};
const log=(s)=>console.log(s,cpu());
log('start');
const t=await import('./dist/src/recipe/select.js'); log('import');
t.selectRows({all:true}); log('selectRows');
const r=await import('./dist/src/recipe/resolve.js');log('import resolve');
for(const row of t.selectRows({all:true})) {r.resolveRow(row,{profile:'smoke',overrides:[]});} log('resolve all');
t.selectRows({all:true}); log('again');
