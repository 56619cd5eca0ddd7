import{t as a}from"./core.43LEMU6N.js";export{a as LecternPlayer};
